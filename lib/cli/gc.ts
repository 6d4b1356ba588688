/** `blcr gc`: removes what belongs to jobs that have left the queue. */

import { listQueue, scheddOf } from '../condor/queue.ts';
import type { JobSummary } from '../store/types.ts';
import { formatBytes } from '../util/bytes.ts';
import { errorMessage } from '../util/error-facts.ts';
import { type Command, expectPositionals, parseArguments } from './command.ts';
import { success } from './exit.ts';
import { openChosenStore, STORE_OPTIONS, STORE_USAGE } from './store-options.ts';
import { formatTable } from './text.ts';

const OPTIONS = { ...STORE_OPTIONS, delete: { type: 'boolean' } } as const;

export const gcCommand: Command = {
  name: 'gc',
  summary: 'remove checkpoints of jobs that have left HTCondor’s queue',
  usage: `blcr gc [--delete] [options]

${STORE_USAGE}
  --delete           really remove them; without it they are only listed

Removed is what belongs to a job named after its GlobalJobId whose schedd answers and does not have it any more, in whatever state. Jobs with
names of their own (--id), those of a schedd that does not answer, and those in the queue stay.`,
  run: async (args) => {
    const parsed = parseArguments(args, OPTIONS);
    expectPositionals(parsed.positionals);
    await using store = await openChosenStore(parsed);
    // The store first: what is submitted after that is not in the list.
    const verdicts = await judge(await store.list());
    const rows = verdicts.map(({ job, isGone, why }) => [
      job.id,
      isGone ? 'remove' : 'keep',
      formatBytes(job.bytes),
      why,
    ]);
    process.stdout.write(`${formatTable(['job', 'what', 'size', 'why'], rows)}\n`);
    const gone = verdicts.filter(({ isGone }) => isGone);
    if (!parsed.flag('delete')) {
      process.stdout.write(`${gone.length} would be removed; nothing was, because --delete was not given\n`);
      return success;
    }
    for (const { job } of gone) await store.remove(job.id);
    process.stdout.write(`${gone.length} removed\n`);
    return success;
  },
};

interface Verdict {
  readonly job: JobSummary;
  readonly isGone: boolean;
  readonly why: string;
}

async function judge(jobs: readonly JobSummary[]): Promise<readonly Verdict[]> {
  const queues = new Map<string, ReadonlySet<string> | string>();
  const verdicts: Verdict[] = [];
  for (const job of jobs) {
    const schedd = scheddOf(job.id);
    if (schedd === undefined) {
      verdicts.push({ job, isGone: false, why: 'not named after a job of HTCondor' });
      continue;
    }
    const queue = queues.get(schedd) ?? (await ask(schedd));
    queues.set(schedd, queue);
    if (typeof queue === 'string') verdicts.push({ job, isGone: false, why: queue });
    else if (queue.has(job.id)) verdicts.push({ job, isGone: false, why: 'in the queue' });
    else verdicts.push({ job, isGone: true, why: `${schedd} does not have it any more` });
  }
  return verdicts;
}

/** The queue, or in words why it is not known. */
async function ask(schedd: string): Promise<ReadonlySet<string> | string> {
  try {
    return await listQueue(schedd);
  } catch (error) {
    return `${schedd} does not answer: ${errorMessage(error).trim().split('\n').at(-1)}`;
  }
}
