import assert from 'node:assert/strict';
import { openSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { claimJob } from '../../lib/store/claim.ts';
import { DirectoryDriver } from '../../lib/store/directory.ts';
import type { Claim } from '../../lib/store/types.ts';
import { bundleWorkers, objects, open, RECORD, readBack, temporaryDirectory, write } from './backends.ts';
import { contextStream, dirty, PAGE, randomMemory } from './streams.ts';

const MEMORY = 24 * 1024 * 1024;
const ONE_PERCENT = Math.floor(MEMORY / PAGE / 100);

bundleWorkers();

function storeSize(root: string): number {
  return objects(root, '').reduce((sum, path) => sum + (statSync(path).isFile() ? statSync(path).size : 0), 0);
}

/** A job of 24 MiB with packs of 2 MiB ages like one of 384 MiB with packs of 32. */
async function claimSmall(root: string): Promise<Claim> {
  const driver = new DirectoryDriver(`file://${root}`);
  return await claimJob({ driver, key: undefined, codec: 'none', packBytes: 2 * 1024 * 1024 }, 'job', {});
}

/** Out of a regular file: a process at the other end of a pipe would cost more than all the rest. */
async function writeFast(claim: Claim, directory: string, memory: Uint8Array): Promise<Buffer> {
  const path = join(directory, 'context');
  const stream = Buffer.concat([...contextStream(memory)]);
  writeFileSync(path, stream);
  const contextFd = openSync(path, 'r');
  await claim.write({ contextFd, complete: Promise.resolve(), files: async () => [], record: () => RECORD });
  return stream;
}

for (const [where, limit] of [
  ['area', 0.03],
  ['scattered', 0.2],
] as const) {
  test(`1 % of the memory changed, ${where}: the second checkpoint adds at most ${limit * 100} %, and after 100 the store holds two full ones at most`, {
    timeout: 300_000,
  }, async (context) => {
    const root = temporaryDirectory(context);
    const scratch = temporaryDirectory(context);
    const claim = await claimSmall(root);
    const memory = randomMemory(MEMORY);
    let stream = await writeFast(claim, scratch, memory);
    const full = storeSize(root);
    const sizes: number[] = [];
    for (let turn = 0; turn < 100; turn++) {
      dirty(memory, ONE_PERCENT, where);
      stream = await writeFast(claim, scratch, memory);
      await claim.retain(2);
      sizes.push(storeSize(root));
    }
    const factors = sizes.map((size) => (size / full).toFixed(2)).join(' ');
    context.diagnostic(`store size in full checkpoints: ${factors}`);
    assert.ok((sizes[0] ?? 0) <= full * (1 + limit), factors);
    assert.ok(Math.max(...sizes) <= 2 * full, factors);
    await verifyAll(claim);
    assert.ok((await readBack(context, await claim.open(101))).equals(stream));
  });
}

async function verifyAll(claim: Claim): Promise<void> {
  const found = await claim.checkpoints();
  assert.equal(found.length, 2);
  for (const { sequence } of found) await (await claim.open(sequence)).verify();
}

test('a page that goes back to what it was, and equal pages, are stored once', { timeout: 30_000 }, async (context) => {
  const root = temporaryDirectory(context);
  const claim = await (await open(context, `file://${root}`)).claim('job');
  const memory = randomMemory(4 * 1024 * 1024);
  memory.copy(memory, 2 * 1024 * 1024, 0, 2 * 1024 * 1024);
  const before = Buffer.concat([...contextStream(memory)]);
  const one = await write(context, claim, before);
  assert.ok(one.storedBytes < 2.6 * 1024 * 1024, `${one.storedBytes}`);
  dirty(memory, 100, 'area');
  await write(context, claim, Buffer.concat([...contextStream(memory)]));
  assert.equal((await write(context, claim, before)).storedBytes, 0);
});
