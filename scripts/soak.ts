/**
 * Checkpoints programs at random moments and compares what they make with an uninterrupted run: as root and as an ordinary user, kept running,
 * killed and restarted, with their process ids taken. Usage: npm run soak -- [--minutes N] [--seed N [--rounds N]] [NAME…]
 *   --minutes N  default 10
 *   --seed N     of the first round (default: a new one each time); each further round has the next number. A wrong round tells its own
 *   --rounds N   so many for each user, and no more
 *   NAME…        only programs and victims whose name contains one of these
 * Exit status: 0 when no round was wrong, no uninterrupted run failed and at least one checkpoint was taken.
 */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Verdict } from './support/soak/round.ts';
import { summarise } from './support/soak/summary.ts';
import { type Identity, makeIdentities } from './support/test/identity.ts';

const { values, positionals } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(randomInt(2 ** 30)) },
    rounds: { type: 'string', default: '0' },
  },
  allowPositionals: true,
});
const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs one user's share. Its verdicts, and a last one when the driver itself fails. */
async function soakAs(
  { prefix, env, directory, label }: Identity,
  onVerdict: (verdict: Verdict) => void,
): Promise<void> {
  const seconds = String(Number(values.minutes) * 60);
  const driver = ['--import', 'tsx', 'scripts/support/soak/driver.ts', seconds, values.rounds, values.seed, directory];
  const [program = '', ...args] = [...prefix, process.execPath, ...driver, ...positionals];
  const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) onVerdict(JSON.parse(line) as Verdict);
  const [code, signal] = await ended;
  if (code !== 0)
    onVerdict({ subject: `the driver ${label}`, seed: 0, taken: [], refused: [], wrong: `${signal ?? code}` });
}

const { own, user, base } = makeIdentities(root);
const verdicts: Verdict[] = [];
console.log(`seed ${values.seed}`);
await Promise.all(
  (user === undefined ? [own] : [own, user]).map((identity) =>
    soakAs(identity, (verdict) => {
      verdicts.push(verdict);
      const trouble = verdict.wrong ?? verdict.controlFailed;
      if (trouble === undefined) return;
      const what = verdict.wrong === undefined ? 'CONTROL FAILED' : 'WRONG';
      const again = `npm run soak -- --seed ${verdict.seed} --rounds 1${positionals.map((name) => ` '${name}'`).join('')}`;
      console.log(`${what} ${verdict.subject} ${identity.label}: ${verdict.taken.join('; ')}\n  ${again}\n${trouble}`);
    }),
  ),
);
console.log(summarise(verdicts));
const isGood =
  verdicts.every(({ wrong, controlFailed }) => wrong === undefined && controlFailed === undefined) &&
  verdicts.some(({ taken }) => taken.length > 0);
if (isGood) rmSync(base, { recursive: true, force: true });
else console.log(`what these rounds made is in ${base}`);
process.exitCode = isGood ? 0 : 1;
