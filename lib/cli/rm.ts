/** `blcr rm`: removes jobs from a store. */

import { StoreError, UsageError } from '../errors.ts';
import { normaliseId } from '../job/options.ts';
import { type Command, parseArguments } from './command.ts';
import { success } from './exit.ts';
import { openChosenStore, STORE_OPTIONS, STORE_USAGE } from './store-options.ts';

export const rmCommand: Command = {
  name: 'rm',
  summary: 'remove jobs and their checkpoints from a store',
  usage: `blcr rm ID… [options]

${STORE_USAGE}

A job that is running stops: it has lost its place in the store.`,
  run: async (args) => {
    const parsed = parseArguments(args, STORE_OPTIONS);
    if (parsed.positionals.length === 0) throw new UsageError('ID is missing');
    const ids = parsed.positionals.map(normaliseId);
    await using store = await openChosenStore(parsed);
    const missing: string[] = [];
    for (const id of ids) if (!(await store.remove(id))) missing.push(id);
    if (missing.length === 0) return success;
    throw new StoreError(`${store.url} has no job ${missing.join(', ')}`, { code: 'ERR_STORE_NOT_FOUND' });
  },
};
