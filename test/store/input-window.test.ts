/** Contexts that are read where they are to stay: what is new keeps its place, what is known gives it up, and no memory is read into while it is under way. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { claimJob } from '../../lib/store/claim.ts';
import { DirectoryDriver } from '../../lib/store/directory.ts';
import type { PutOptions } from '../../lib/store/driver.ts';
import type { Claim } from '../../lib/store/types.ts';
import { bundleWorkers, readBack, temporaryDirectory, write } from './backends.ts';
import { contextStream, dirty, frame, randomMemory } from './streams.ts';

const PACK = 2 * 1024 * 1024;
/** As many as a write has memory for. Source: lib/store/checkpoint-writer.ts. */
const PACKS_IN_MEMORY = 4;

bundleWorkers();

/** Keeps back the first uploads until no memory is left to read into. */
class SlowDriver extends DirectoryDriver {
  #held = 0;
  #release: () => void = () => undefined;
  readonly #isFull = new Promise<void>((resolve) => {
    this.#release = resolve;
  });

  override async add(path: string, data: Uint8Array, options?: PutOptions): Promise<void> {
    const before = createHash('sha256').update(data).digest('hex');
    this.#held += 1;
    if (this.#held === PACKS_IN_MEMORY) this.#release();
    await this.#isFull;
    assert.equal(createHash('sha256').update(data).digest('hex'), before, 'the pack changed while it waited');
    await super.add(path, data, options);
  }
}

async function claimWith(context: TestContext, Driver: typeof DirectoryDriver, key?: Uint8Array): Promise<Claim> {
  const driver = new Driver(`file://${temporaryDirectory(context)}`);
  return await claimJob({ driver, key, codec: 'none', packBytes: PACK }, 'job', {});
}

async function assertStored(context: TestContext, claim: Claim, stream: Buffer, sequence: number): Promise<void> {
  await write(context, claim, stream);
  const back = await readBack(context, await claim.open(sequence));
  assert.equal(Buffer.compare(back, stream), 0);
}

const streamOf = (memory: Uint8Array): Buffer => Buffer.concat([...contextStream(memory)]);

test('reading waits while every pack is under way', { timeout: 120_000 }, async (context) => {
  const claim = await claimWith(context, SlowDriver);
  await assertStored(context, claim, streamOf(randomMemory(8 * PACK)), 1);
});

test('known units between new ones', { timeout: 120_000 }, async (context) => {
  const claim = await claimWith(context, DirectoryDriver);
  const memory = randomMemory(4 * PACK);
  memory.copy(memory, PACK, 0, PACK);
  await assertStored(context, claim, streamOf(memory), 1);
  for (const [turn, pages] of [0, 3, 60, 900].entries()) {
    dirty(memory, pages, 'scattered');
    await assertStored(context, claim, streamOf(memory), turn + 2);
  }
});

test('frames of all sizes, the largest among them', { timeout: 120_000 }, async (context) => {
  const claim = await claimWith(context, DirectoryDriver);
  const sizes = [1, 4095, 4096, 4097, 65_536, 70_000, 1024 * 1024, 1024 * 1024 + 4096, 0, 300_000, 1024 * 1024];
  const [head, , ...rest] = contextStream(randomMemory(PACK));
  const frames = [...sizes, ...sizes, ...sizes].map((size) => frame('META', randomMemory(size)));
  await assertStored(context, claim, Buffer.concat([head ?? Buffer.alloc(0), ...frames, ...rest]), 1);
});
