import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Store } from '../../lib/store/types.ts';
import { bundleWorkers, KEY, objects, open, readBack, skipReason, temporaryDirectory, write } from './backends.ts';
import { contextStream, randomMemory } from './streams.ts';

bundleWorkers();

interface Prepared {
  readonly root: string;
  readonly store: Store;
  readonly streams: readonly Buffer[];
}

/** Two checkpoints of different memory, so that each has its own pack. */
async function prepare(context: TestContext, key: Uint8Array | undefined): Promise<Prepared> {
  const root = temporaryDirectory(context);
  const store = await open(context, `file://${root}`, key === undefined ? {} : { key });
  const claim = await store.claim('job');
  const streams = [1, 2].map(() => Buffer.concat([...contextStream(randomMemory(400_000))]));
  for (const stream of streams) await write(context, claim, stream);
  return { root, store, streams };
}

function only(paths: readonly string[]): string {
  assert.equal(paths.length, 1);
  return paths[0] ?? '';
}

/** The pack that only checkpoint 2 needs: the one that its manifest names. */
function newestPack(root: string, key: Uint8Array | undefined): string {
  const packs = objects(root, 'pack-');
  if (key !== undefined) return packs.find((path) => readFileSync(path).length > 0 && isNewer(path, packs)) ?? '';
  const manifest = readFileSync(only(objects(root, 'ckpt-2-')), 'latin1');
  return packs.find((path) => manifest.includes(basename(path))) ?? '';
}

function isNewer(path: string, packs: readonly string[]): boolean {
  return packs.every((other) => other === path || readTime(other) < readTime(path));
}

function readTime(path: string): bigint {
  return statSync(path, { bigint: true }).mtimeNs;
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  writeFileSync(path, bytes);
}

for (const [name, key, code] of [
  ['plain', undefined, 'ERR_STORE_CORRUPT'],
  ['sealed', KEY, 'ERR_STORE_AUTH'],
] as const) {
  const skip = skipReason('directory');

  test(`${name}: a flipped bit in a pack is found before anything wrong is written, and the older checkpoint is whole`, {
    skip,
    timeout: 30_000,
  }, async (context) => {
    const { root, store, streams } = await prepare(context, key);
    const pack = newestPack(root, key);
    flip(pack, 200_000);
    const claim = await store.claim('job');
    assert.deepEqual(
      (await claim.checkpoints()).map(({ sequence }) => sequence),
      [2, 1],
    );
    const newest = await claim.open(2);
    await assert.rejects(newest.verify(), (error: { code: string; path: string }) => {
      assert.equal(error.code, code);
      assert.equal(basename(error.path), basename(pack));
      return true;
    });
    let written: Buffer = Buffer.alloc(0);
    const reading = readBack(context, newest).then((bytes) => {
      written = bytes;
    });
    await assert.rejects(reading, { code });
    assert.ok(streams[1]?.subarray(0, written.length).equals(written));
    assert.ok((await readBack(context, await claim.open(1))).equals(streams[0] ?? Buffer.alloc(0)));
  });

  for (const [what, damage] of [
    ['truncated', (pack: string) => truncateSync(pack, 100_000)],
    ['missing', (pack: string) => rmSync(pack)],
    ['longer', (pack: string) => writeFileSync(pack, Buffer.alloc(1), { flag: 'a' })],
  ] as const) {
    test(`${name}: a checkpoint whose pack is ${what} is not offered, and the damage is named`, {
      skip,
      timeout: 30_000,
    }, async (context) => {
      const { root, store } = await prepare(context, key);
      const pack = newestPack(root, key);
      damage(pack);
      const claim = await store.claim('job');
      assert.deepEqual(
        (await claim.checkpoints()).map(({ sequence }) => sequence),
        [1],
      );
      assert.deepEqual(
        claim.damaged.map((error) => [error.code, basename(error.path ?? '')]),
        [[code, basename(pack)]],
      );
      await (await claim.open(1)).verify();
      await assert.rejects(claim.open(2), { code: 'ERR_STORE_NOT_FOUND' });
    });
  }

  test(`${name}: a pack in another's place is refused`, { skip, timeout: 30_000 }, async (context) => {
    const { root, store } = await prepare(context, key);
    const pack = newestPack(root, key);
    const other = objects(root, 'pack-').find((path) => path !== pack) ?? '';
    copyFileSync(other, pack);
    const claim = await store.claim('job');
    await assert.rejects((await claim.open(2)).verify(), { code });
    await (await claim.open(1)).verify();
  });

  test(`${name}: a damaged, truncated or swapped manifest is not offered`, {
    skip,
    timeout: 30_000,
  }, async (context) => {
    const { root, store } = await prepare(context, key);
    const content = readFileSync(only(objects(root, 'ckpt-2-')));
    const damages: readonly ((two: string, one: string) => void)[] = [
      (two) => flip(two, content.length >> 1),
      (two) => writeFileSync(two, content.subarray(0, content.length >> 1)),
      (two) => writeFileSync(two, ''),
      (two, one) => copyFileSync(one, two),
      (two) => writeFileSync(two, 'something else entirely, of a length that could be one'),
    ];
    for (const damage of damages) {
      damage(only(objects(root, 'ckpt-2-')), only(objects(root, 'ckpt-1-')));
      const claim = await store.claim('job');
      const found = only(objects(root, 'ckpt-2-'));
      assert.deepEqual(
        claim.damaged.map((error) => [error.code, basename(error.path ?? '')]),
        [[code, basename(found)]],
      );
      assert.deepEqual(
        (await claim.checkpoints()).map(({ sequence }) => sequence),
        [1],
      );
      await (await claim.open(1)).verify();
      writeFileSync(found, content);
    }
    assert.equal((await (await store.claim('job')).checkpoints()).length, 2);
  });

  test(`${name}: a job whose checkpoints are all damaged cannot be claimed, and nothing is deleted`, {
    skip,
    timeout: 30_000,
  }, async (context) => {
    const { root, store } = await prepare(context, key);
    for (const path of objects(root, 'ckpt-')) flip(path, 40);
    const before = objects(root, '');
    await assert.rejects(store.claim('job'), { code });
    assert.deepEqual(objects(root, ''), before);
  });

  test(`${name}: another job's directory is refused`, { skip, timeout: 30_000 }, async (context) => {
    const { root, store } = await prepare(context, key);
    renameSync(join(root, 'job-job'), join(root, 'job-other'));
    await assert.rejects(store.claim('other'), { code });
  });
}

test('a wrong key, no key, and a key for unsealed content are refused without taking the job over', {
  timeout: 30_000,
}, async (context) => {
  const { root, store } = await prepare(context, KEY);
  const owner = await store.claim('job');
  for (const key of [undefined, Buffer.alloc(32, 1)]) {
    const intruder = await open(context, `file://${root}`, key === undefined ? {} : { key });
    await assert.rejects(intruder.claim('job'), { code: 'ERR_STORE_AUTH' });
  }
  await owner.check();
  const plain = await prepare(context, undefined);
  const sealed = await open(context, `file://${plain.root}`, { key: KEY });
  await assert.rejects(sealed.claim('job'), { code: 'ERR_STORE_AUTH' });
});

test('sealed: nothing readable is stored', { timeout: 30_000 }, async (context) => {
  const root = temporaryDirectory(context);
  const store = await open(context, `file://${root}`, { key: KEY });
  const memory = Buffer.alloc(500_000, 'the secret of this job ');
  await write(context, await store.claim('job'), Buffer.concat([...contextStream(memory, 'secret metadata')]));
  for (const path of objects(root, '')) {
    if (/\/(pack|ckpt|head)-?[^/]*$/.test(path)) assert.equal(readFileSync(path).includes('secret'), false, path);
  }
});

test('sealed: a checkpoint that was taken away, a head that was, and an older run directory are noticed', {
  timeout: 30_000,
}, async (context) => {
  const { root, store } = await prepare(context, KEY);
  const two = only(objects(root, 'ckpt-2-'));
  const content = readFileSync(two);
  rmSync(two);
  await assert.rejects(store.claim('job'), { code: 'ERR_STORE_AUTH', message: /2 was the newest/ });
  writeFileSync(two, content);
  const head = only(objects(root, 'head'));
  const sealedHead = readFileSync(head);
  rmSync(head);
  await assert.rejects(store.claim('job'), { code: 'ERR_STORE_AUTH', message: /missing/ });
  writeFileSync(head, sealedHead);
  await store.claim('job');
  const run = only(objects(root, 'run-2-'));
  renameSync(run, run.replace('run-2-', 'run-1-'));
  await assert.rejects(store.claim('job'), { code: 'ERR_STORE_AUTH', message: /incarnation 2 existed/ });
});

test('sealed: a manifest of an earlier job of the same id does not come back to life', {
  timeout: 30_000,
}, async (context) => {
  const { root, store } = await prepare(context, KEY);
  const saved = temporaryDirectory(context);
  const names = [...objects(root, 'ckpt-2-'), ...objects(root, 'pack-')];
  for (const path of names) copyFileSync(path, join(saved, basename(path)));
  await store.remove('job');
  const claim = await store.claim('job');
  await write(context, claim, Buffer.concat([...contextStream(randomMemory(100_000))]));
  const run = only(objects(root, 'run-1-'));
  for (const path of names) copyFileSync(join(saved, basename(path)), join(run, basename(path)));
  const next = await store.claim('job');
  assert.deepEqual(
    (await next.checkpoints()).map(({ sequence }) => sequence),
    [1],
  );
  assert.deepEqual(
    next.damaged.map((error) => error.code),
    ['ERR_STORE_AUTH'],
  );
});
