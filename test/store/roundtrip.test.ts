import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Progress, StoreOptions } from '../../lib/store/types.ts';
import {
  BACKENDS,
  bundleWorkers,
  KEY,
  objects,
  open,
  openDescriptors,
  pipeFrom,
  RECORD,
  readBack,
  skipReason,
  temporaryDirectory,
  write,
} from './backends.ts';
import { contextStream, dirty, randomMemory } from './streams.ts';

bundleWorkers();

const OPTIONS: readonly (readonly [name: string, options: StoreOptions])[] = [
  ['plain', { codec: 'none' }],
  ['deflate-raw', { codec: 'deflate-raw' }],
  ['sealed brotli', { codec: 'brotli', key: KEY }],
];
const ID = 'schedd@host#12.0/é';

for (const backend of BACKENDS) {
  const limits = { timeout: 60_000, skip: skipReason(backend.name) };

  for (const [name, options] of OPTIONS) {
    test(
      `${backend.name}, ${name}: what is written is read, by this and by the next incarnation`,
      limits,
      async (context) => {
        const { url } = await backend.start(context);
        const store = await open(context, url, options);
        const memory = randomMemory(5_000_000);
        memory.fill('compressible ', 1_000_000, 3_000_000);
        const first = Buffer.concat([...contextStream(memory)]);
        const claim = await store.claim(ID);
        assert.equal(claim.epoch, 1);
        assert.deepEqual(await claim.checkpoints(), []);
        const one = await write(context, claim, first);
        dirty(memory, 5, 'scattered');
        const second = Buffer.concat([...contextStream(memory)]);
        const two = await write(context, claim, second);
        assert.deepEqual([one.sequence, two.sequence], [1, 2]);
        assert.equal(one.contextBytes, first.length);
        assert.ok(two.storedBytes < one.storedBytes);
        assert.ok(options.codec === 'none' || one.storedBytes < 3_400_000, `${one.storedBytes} bytes`);
        assert.ok((await readBack(context, await claim.open(1))).equals(first));

        const next = await (await open(context, url, options)).claim(ID);
        assert.equal(next.epoch, 2);
        assert.deepEqual(next.damaged, []);
        const found = await next.checkpoints();
        assert.deepEqual(
          found.map(({ sequence }) => sequence),
          [2, 1],
        );
        assert.deepEqual(found[0]?.record, RECORD);
        assert.ok((await readBack(context, await next.open(2))).equals(second));
        await (await next.open(1)).verify();
        const three = await write(context, next, second);
        assert.equal(three.sequence, 3);
        assert.equal(three.storedBytes, 0);
      },
    );
  }

  test(`${backend.name}: an upload with a limit is complete, and not faster`, limits, async (context) => {
    const { url } = await backend.start(context);
    const claim = await (await open(context, url)).claim('slow');
    const stream = Buffer.concat([...contextStream(randomMemory(400_000))]);
    const begun = performance.now();
    await write(context, claim, stream, { options: { maxRate: 500_000 } });
    // The first piece goes at once.
    assert.ok(performance.now() - begun > 600);
    assert.ok((await readBack(context, await claim.open(1))).equals(stream));
  });

  test(`${backend.name}: many packs, progress, a listing, and removal`, limits, async (context) => {
    const { url, root } = await backend.start(context);
    const store = await open(context, url);
    const stream = Buffer.concat([...contextStream(randomMemory(80_000_000))]);
    const claim = await store.claim('big');
    const seen: Progress[] = [];
    await write(context, claim, stream, { options: { onProgress: (progress) => seen.push(progress) } });
    assert.ok(seen.length > 3);
    assert.ok(seen.every(({ bytes }, index) => bytes >= (seen[index - 1]?.bytes ?? 0)));
    assert.equal(objects(root, 'pack-').length, 3);
    assert.ok(objects(root, 'pack-').every((path) => statSync(path).size <= 32 * 1024 * 1024));
    assert.ok((await readBack(context, await claim.open(1))).equals(stream));
    const [summary] = await store.list();
    assert.deepEqual(
      { ...summary, bytes: 0 },
      { id: 'big', epoch: 1, checkpoints: 1, newest: 1, bytes: 0, finished: false },
    );
    assert.ok((summary?.bytes ?? 0) > 80_000_000);
    const view = await store.inspect('big');
    assert.equal((await view?.checkpoints())?.[0]?.contextBytes, stream.length);
    await (await view?.open(1))?.verify();
    assert.equal(await store.inspect('other'), undefined);
    assert.equal(await store.remove('other'), false);
    await claim.remove();
    assert.deepEqual(await store.list(), []);
    assert.deepEqual(objects(root, 'trash-'), []);
    await assert.rejects(claim.check(), { code: 'ERR_STORE_FENCED' });
  });

  test(
    `${backend.name}: a view goes on reading when another incarnation takes the job over`,
    limits,
    async (context) => {
      const { url } = await backend.start(context);
      const store = await open(context, url);
      const stream = Buffer.concat([...contextStream(randomMemory(300_000))]);
      await write(context, await store.claim('job'), stream);
      const view = await store.inspect('job');
      const stored = await view?.open(1);
      await store.claim('job');
      assert.ok(stored !== undefined && (await readBack(context, stored)).equals(stream));
    },
  );
}

test('the context may come from and go to a regular file', async (context) => {
  const directory = temporaryDirectory(context);
  const path = join(directory, 'context');
  const stream = Buffer.concat([...contextStream(randomMemory(3_000_000))]);
  writeFileSync(path, stream);
  const store = await open(context, `file://${join(directory, 'store')}`);
  const claim = await store.claim('job');
  const fd = openSync(path, 'r');
  await claim.write({ contextFd: fd, complete: Promise.resolve(), files: async () => [], record: () => RECORD });
  assert.throws(() => fstatSync(fd), { code: 'EBADF' });
  const copy = openSync(join(directory, 'copy'), 'w');
  await (await claim.open(1)).writeContext(copy);
  assert.throws(() => fstatSync(copy), { code: 'EBADF' });
  assert.ok(readFileSync(join(directory, 'copy')).equals(stream));
});

test('a reader that goes away ends writeContext quietly, and no descriptor is left', {
  timeout: 30_000,
}, async (context) => {
  const directory = temporaryDirectory(context);
  const store = await open(context, `file://${join(directory, 'store')}`);
  const claim = await store.claim('job');
  await write(context, claim, Buffer.concat([...contextStream(randomMemory(20_000_000))]));
  const stored = await claim.open(1);
  const fifo = join(directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const before = openDescriptors(directory);
  for (let turn = 0; turn < 3; turn++) {
    const reader = openSync(fifo, 'r+');
    const writer = openSync(fifo, 'w');
    const done = stored.writeContext(writer);
    setTimeout(() => closeSync(reader), 100);
    await done;
  }
  assert.deepEqual(openDescriptors(directory), before);
});

// A few bytes are read by the calling thread, more by one of their own.
for (const size of [2_000_000, 20_000_000]) {
  test(`an aborted writeContext of ${size} bytes rejects at once although nobody reads, and closes the pipe`, {
    timeout: 30_000,
  }, async (context) => {
    const directory = temporaryDirectory(context);
    const store = await open(context, `file://${join(directory, 'store')}`);
    const claim = await store.claim('job');
    await write(context, claim, Buffer.concat([...contextStream(randomMemory(size))]));
    const fifo = join(directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const reader = openSync(fifo, 'r+');
    const before = openDescriptors(directory);
    const done = (await claim.open(1)).writeContext(openSync(fifo, 'w'), { signal: AbortSignal.timeout(300) });
    await assert.rejects(done, { name: 'TimeoutError' });
    assert.deepEqual(openDescriptors(directory), before);
    closeSync(reader);
  });
}

test('writes and reads leave no descriptor behind', { timeout: 30_000 }, async (context) => {
  const directory = temporaryDirectory(context);
  const store = await open(context, `file://${join(directory, 'store')}`);
  const claim = await store.claim('job');
  const stream = Buffer.concat([...contextStream(randomMemory(1_000_000))]);
  const path = join(directory, 'context');
  writeFileSync(path, stream);
  await write(context, claim, stream);
  await (await claim.open(1)).verify();
  const before = openDescriptors(directory);
  for (let turn = 0; turn < 3; turn++) {
    const { fd, writer } = pipeFrom(context, stream);
    const ended = new Promise((resolve) => writer.once('close', resolve));
    await claim.write({ contextFd: fd, complete: ended, files: async () => [], record: () => RECORD });
    await (await claim.open(1)).verify();
  }
  assert.deepEqual(openDescriptors(directory), before);
});

for (const [url, code] of [
  ['nonsense', 'ERR_STORE_URL'],
  ['http://host/', 'ERR_STORE_URL'],
  ['chirp:///path', 'ERR_STORE_URL'],
  ['file://otherhost/path', 'ERR_STORE_URL'],
  ['chirp://user@host/', 'ERR_STORE_URL'],
] as const) {
  test(`${url} is refused with ${code}`, async (context) => {
    await assert.rejects(open(context, url), { code });
  });
}

test('a key of the wrong length and unusable ids are refused', async (context) => {
  const url = `file://${temporaryDirectory(context)}`;
  await assert.rejects(open(context, url, { key: Buffer.alloc(31) }), { code: 'ERR_STORE_ARGUMENT' });
  const store = await open(context, url);
  for (const id of ['', '.', '..', 'x'.repeat(300)])
    await assert.rejects(store.claim(id), { code: 'ERR_STORE_ARGUMENT' });
});
