/** `blcr verify`: reads every byte of a job's checkpoints and checks it. */

import { EXIT_CODES } from '../job/exit-status.ts';
import type { JobView } from '../store/types.ts';
import { errorCode, errorMessage, isRetriable } from '../util/error-facts.ts';
import { type Command, expectPositionals, parseArguments } from './command.ts';
import { exitWith, success } from './exit.ts';
import { printJson } from './json.ts';
import { findJob } from './show.ts';
import { openChosenStore, STORE_OPTIONS, STORE_USAGE } from './store-options.ts';

const OPTIONS = { ...STORE_OPTIONS, json: { type: 'boolean' } } as const;

interface Verdict {
  readonly sequence: number;
  readonly good: boolean;
  readonly code?: string;
  readonly message?: string;
}

export const verifyCommand: Command = {
  name: 'verify',
  summary: "check every byte of a job's checkpoints",
  usage: `blcr verify ID [options]

${STORE_USAGE}
  --json             one JSON array

Exit: 0 all are good; 1 some are damaged, and a good one is left; 86 none is good.`,
  run: async (args) => {
    const parsed = parseArguments(args, OPTIONS);
    const [id = ''] = expectPositionals(parsed.positionals, 'ID');
    await using store = await openChosenStore(parsed);
    const verdicts = await verifyAll(await findJob(store, id), parsed.flag('json') ? undefined : say);
    if (parsed.flag('json')) printJson(verdicts);
    const good = verdicts.filter((verdict) => verdict.good).length;
    if (good === verdicts.length && good > 0) return success;
    return exitWith(good > 0 ? 1 : EXIT_CODES.unrestartable);
  },
};

async function verifyAll(view: JobView, say: ((verdict: Verdict) => void) | undefined): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const { sequence } of await view.checkpoints()) {
    const verdict = await verifyOne(view, sequence);
    say?.(verdict);
    verdicts.push(verdict);
  }
  return verdicts;
}

/** A store that does not answer says nothing about a checkpoint. */
async function verifyOne(view: JobView, sequence: number): Promise<Verdict> {
  try {
    await (await view.open(sequence)).verify();
    return { sequence, good: true };
  } catch (error) {
    if (isRetriable(error)) throw error;
    return { sequence, good: false, code: errorCode(error), message: errorMessage(error) };
  }
}

function say({ sequence, good, code, message }: Verdict): void {
  process.stdout.write(
    good ? `checkpoint ${sequence}: good\n` : `checkpoint ${sequence}: damaged: ${message} (${code})\n`,
  );
}
