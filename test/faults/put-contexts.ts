/**
 * put-contexts STORE [KEEP]: adds damaged contexts to the job `job` of a store as its newest checkpoints, then keeps only the newest KEEP. They
 * are complete and consistent as far as the store can tell: only the engine can see what is wrong with them.
 */

import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { openStore } from '../../lib/store/index.ts';

const HEADER = 16;

/** Frames of a context. Source: native/engine/image/FORMAT.md. */
function split(context: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < context.length; ) {
    const length = HEADER + context.readUInt32LE(at + 4);
    frames.push(context.subarray(at, at + length));
    at += length;
  }
  return frames;
}

function flipped(frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  copy[HEADER + 100] = (copy[HEADER + 100] ?? 0) ^ 4;
  return copy;
}

function damages(frames: readonly Buffer[]): readonly (readonly Buffer[])[] {
  const at = frames.findIndex((frame) => frame.toString('latin1', 0, 4) === 'PAGE');
  const [one, two] = [frames[at], frames[at + 1]];
  if (one === undefined || two === undefined) throw new Error('the context has too few pages');
  const withPages = (...pages: readonly Buffer[]) => [...frames.slice(0, at), ...pages, ...frames.slice(at + 2)];
  return [withPages(flipped(one), two), withPages(two), withPages(two, one), withPages(one, two, two)];
}

const [url = '', keep] = process.argv.slice(2);
await using store = await openStore(url);
const claim = await store.claim('job');
const [newest] = await claim.checkpoints();
if (newest === undefined) throw new Error('the job has no checkpoint');
const file = openSync('context', 'w');
await (await claim.open(newest.sequence)).writeContext(file);
const frames = split(readFileSync('context'));
for (const damaged of damages(frames)) {
  writeFileSync('damaged', Buffer.concat(damaged));
  const contextFd = openSync('damaged', 'r');
  await claim.write({ contextFd, complete: Promise.resolve(), files: async () => [], record: () => newest.record });
  try {
    closeSync(contextFd);
  } catch {
    // the store closes what it has read
  }
}
if (keep !== undefined) await claim.retain(Number(keep));
console.log((await claim.checkpoints()).map(({ sequence }) => sequence).join(' '));
