/** Main program of scripts/with-condor. */

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { parseArgs } from 'node:util';
import { CondorUnavailable } from './condor/packages.ts';
import { CondorPool } from './condor/pool.ts';

const USAGE = `usage: with-condor [--slots N] [--fetch] -- COMMAND [ARGS…]
Runs COMMAND in a HTCondor pool of its own on loopback: a schedd and two execute nodes with N slots each (default 2), as an ordinary user.
CONDOR_CONFIG and PATH are set, the current directory is CONDOR_JOBS, a new one that is removed afterwards. Exits as COMMAND does.
--fetch only makes sure that HTCondor is there, below .cache/ or the user's own cache.
Exit: COMMAND's own; 64 wrong arguments; 69 this machine cannot have HTCondor (the message says why).`;

interface Request {
  readonly slots: number;
  readonly fetch: boolean;
  readonly command: readonly string[];
}

function parse(): Request {
  const cut = process.argv.indexOf('--');
  const own = cut < 0 ? process.argv.slice(2) : process.argv.slice(2, cut);
  const { values } = parseArgs({ args: own, options: { slots: { type: 'string' }, fetch: { type: 'boolean' } } });
  const slots = Number(values.slots ?? 2);
  if (!Number.isInteger(slots) || slots < 1) throw new Error('--slots: a whole number from 1 on is needed');
  const command = cut < 0 ? [] : process.argv.slice(cut + 1);
  if (command.length === 0 && values.fetch !== true) throw new Error('no command given');
  return { slots, fetch: values.fetch === true, command };
}

async function main(): Promise<number> {
  let request: Request;
  try {
    request = parse();
  } catch (error) {
    process.stderr.write(`with-condor: ${(error as Error).message}\n${USAGE}\n`);
    return 64;
  }
  try {
    return await perform(request);
  } catch (error) {
    if (!(error instanceof CondorUnavailable)) throw error;
    process.stderr.write(`with-condor: ${error.message}\n`);
    return 69;
  }
}

async function perform({ slots, fetch, command }: Request): Promise<number> {
  if (fetch) {
    const { obtainCondor } = await import('./condor/packages.ts');
    process.stdout.write(`${await obtainCondor()}\n`);
    if (command.length === 0) return 0;
  }
  await using pool = await CondorPool.start({ slots });
  const jobs = pool.makeDirectory('jobs');
  const [program = '', ...args] = command;
  const env = { ...process.env, ...pool.env, CONDOR_JOBS: jobs };
  const child = spawn(program, args, { cwd: jobs, env, stdio: 'inherit', ...pool.user });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return await new Promise((resolve) => {
    child.once('error', (error) => {
      process.stderr.write(`with-condor: ${error.message}\n`);
      resolve(127);
    });
    child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]));
  });
}

process.exitCode = await main();
