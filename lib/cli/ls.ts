/** `blcr ls`: the jobs of a store. */

import { formatBytes } from '../util/bytes.ts';
import { type Command, expectPositionals, parseArguments } from './command.ts';
import { success } from './exit.ts';
import { printJson } from './json.ts';
import { openChosenStore, STORE_OPTIONS, STORE_USAGE } from './store-options.ts';
import { formatTable } from './text.ts';

const OPTIONS = { ...STORE_OPTIONS, json: { type: 'boolean' } } as const;

export const lsCommand: Command = {
  name: 'ls',
  summary: 'list the jobs of a store',
  usage: `blcr ls [options]

${STORE_USAGE}
  --json             one JSON array`,
  run: async (args) => {
    const parsed = parseArguments(args, OPTIONS);
    expectPositionals(parsed.positionals);
    await using store = await openChosenStore(parsed);
    const jobs = await store.list();
    if (parsed.flag('json')) printJson(jobs);
    else {
      const rows = jobs.map(({ id, epoch, checkpoints, newest, bytes, finished }) => [
        id,
        finished ? 'finished' : 'open',
        checkpoints,
        newest ?? '-',
        epoch,
        formatBytes(bytes),
      ]);
      process.stdout.write(`${formatTable(['job', 'state', 'checkpoints', 'newest', 'incarnation', 'size'], rows)}\n`);
    }
    return success;
  },
};
