/** `blcr show`: the checkpoints of a job. */

import { StoreError } from '../errors.ts';
import { normaliseId } from '../job/options.ts';
import type { CheckpointSummary, JobSummary, JobView, Store } from '../store/types.ts';
import { formatBytes } from '../util/bytes.ts';
import { formatDuration } from '../util/duration.ts';
import { type Command, expectPositionals, parseArguments } from './command.ts';
import { success } from './exit.ts';
import { printJson } from './json.ts';
import { openChosenStore, STORE_OPTIONS, STORE_USAGE } from './store-options.ts';
import { formatTable, formatTime } from './text.ts';

const OPTIONS = { ...STORE_OPTIONS, json: { type: 'boolean' } } as const;

export const showCommand: Command = {
  name: 'show',
  summary: 'show what the store has of a job',
  usage: `blcr show ID [options]

${STORE_USAGE}
  --json             one JSON object`,
  run: async (args) => {
    const parsed = parseArguments(args, OPTIONS);
    const [id = ''] = expectPositionals(parsed.positionals, 'ID');
    await using store = await openChosenStore(parsed);
    const view = await findJob(store, id);
    const checkpoints = await view.checkpoints();
    if (parsed.flag('json')) printJson({ ...view.summary, checkpoints });
    else process.stdout.write(describe(view.summary, checkpoints));
    return success;
  },
};

/** @throws {StoreError} `ERR_STORE_NOT_FOUND` */
export async function findJob(store: Store, id: string): Promise<JobView> {
  const view = await store.inspect(normaliseId(id));
  if (view !== undefined) return view;
  throw new StoreError(`${store.url} has no job ${id}; 'blcr ls' lists them`, { code: 'ERR_STORE_NOT_FOUND' });
}

function describe(summary: JobSummary, checkpoints: readonly CheckpointSummary[]): string {
  const head = `${summary.id}: ${summary.finished ? 'finished, its result waits to be fetched' : 'open'}, incarnation ${summary.epoch}, ${formatBytes(summary.bytes)}\n`;
  const newest = checkpoints[0]?.record;
  if (newest === undefined) return `${head}no checkpoint\n`;
  const rows = checkpoints.map(({ sequence, created, contextBytes, fileBytes, storedBytes, record }) => [
    sequence,
    formatTime(created),
    record.reason,
    formatDuration(record.runtimeMs),
    formatBytes(contextBytes),
    formatBytes(fileBytes),
    formatBytes(storedBytes),
    record.host,
  ]);
  const table = formatTable(['number', 'time', 'reason', 'run time', 'context', 'files', 'added', 'host'], rows);
  return `${head}command: ${newest.identity.argv.join(' ')}\nscratch: ${newest.scratch}\n${table}\n`;
}
