/** Programs of a job that ask for a checkpoint of it into its store: the wrapper's end of what native/keeper/store_requests.h describes. */
import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import { errorCode, errorMessage } from '../util/error-facts.ts';

/** Takes the checkpoint; resolves when it is in the store. A rejection is what the program is told. */
export type StoreRequestHandler = () => Promise<unknown>;

/** Longest line that a keeper writes, with room to spare. */
const MAX_LINE = 256;

/** Answers the keeper at the other end of `lifeline` for as long as that is open. */
export function answerStoreRequests(lifeline: Duplex, take: StoreRequestHandler): void {
  let partial = '';
  lifeline.setEncoding('latin1');
  lifeline.on('data', (text: string) => {
    const lines = (partial + text).split('\n');
    partial = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) {
      const number = /^checkpoint (\d{1,18})$/.exec(line)?.[1];
      if (number !== undefined) void answer(lifeline, number, take);
    }
  });
  lifeline.on('error', () => undefined); // the keeper has gone, and its end is noticed elsewhere
}

async function answer(lifeline: Duplex, number: string, take: StoreRequestHandler): Promise<void> {
  const outcome = await take().then(
    () => '0',
    (error: unknown) => `${constants.errno.EIO} ${errorCode(error)} ${errorMessage(error).replaceAll(/\s+/g, ' ')}`,
  );
  if (lifeline.writable) lifeline.write(`${number} ${outcome}\n`);
}
