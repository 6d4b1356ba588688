import assert from 'node:assert/strict';
import { readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openChirpDriver } from '../../lib/store/chirp.ts';
import { claimJob } from '../../lib/store/claim.ts';
import { DirectoryDriver } from '../../lib/store/directory.ts';
import type { Driver } from '../../lib/store/driver.ts';
import { claimRun } from '../../lib/store/fence.ts';
import type { Claim } from '../../lib/store/types.ts';
import { ChirpServer } from '../support/chirp-server.ts';
import {
  BACKENDS,
  bundleWorkers,
  KEY,
  NO_CHIRP,
  objects,
  open,
  pipeFrom,
  RECORD,
  readBack,
  skipReason,
  write,
} from './backends.ts';
import { contextStream, randomMemory } from './streams.ts';

bundleWorkers();

const FENCED = { code: 'ERR_STORE_FENCED' };

function driverOf(context: TestContext, url: string): Driver {
  const driver = url.startsWith('file:') ? new DirectoryDriver(url) : openChirpDriver(url, {});
  context.after(() => driver.close());
  return driver;
}

for (const backend of BACKENDS) {
  const limits = { timeout: 60_000, skip: skipReason(backend.name) };
  const stream = Buffer.concat([...contextStream(randomMemory(2_000_000))]);

  test(`${backend.name}: every method of the older incarnation is fenced`, limits, async (context) => {
    const { url } = await backend.start(context);
    const old = await (await open(context, url)).claim('job');
    await write(context, old, stream);
    const stored = await old.open(1);
    const newer = await (await open(context, url)).claim('job');
    await assert.rejects(old.check(), FENCED);
    await assert.rejects(old.checkpoints(), FENCED);
    await assert.rejects(old.open(1), FENCED);
    await assert.rejects(write(context, old, Buffer.concat([...contextStream(randomMemory(100_000))])), FENCED);
    await assert.rejects(write(context, old, stream), FENCED);
    await assert.rejects(old.retain(1), FENCED);
    await assert.rejects(old.finished(), FENCED);
    await assert.rejects(old.finish({ exitCode: 0, signal: undefined, finished: 1, scratch: '/' }, []), FENCED);
    await assert.rejects(old.remove(), FENCED);
    await assert.rejects(stored.verify(), FENCED);
    assert.deepEqual(
      (await newer.checkpoints()).map(({ sequence }) => sequence),
      [1],
    );
    assert.ok((await readBack(context, await newer.open(1))).equals(stream));
  });

  test(`${backend.name}: a claim in the middle of a write leaves nothing of it`, limits, async (context) => {
    const { url, root } = await backend.start(context);
    const old = await (await open(context, url)).claim('job');
    await write(context, old, stream);
    let engineReady: () => void = () => undefined;
    const complete = new Promise<void>((resolve) => {
      engineReady = resolve;
    });
    const writing = write(context, old, Buffer.concat([...contextStream(randomMemory(40_000_000))]), { complete });
    writing.catch(() => undefined);
    // The first pack of the new checkpoint has arrived.
    while (objects(root, 'pack-').length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    const newer = await (await open(context, url)).claim('job');
    engineReady();
    await assert.rejects(writing, FENCED);
    assert.deepEqual(
      (await newer.checkpoints()).map(({ sequence }) => sequence),
      [1],
    );
    await (await newer.open(1)).verify();
    assert.equal(objects(root, 'pack-').length, 1);
    assert.deepEqual(objects(root, 'tmp-'), []);
  });

  test(
    `${backend.name}: of many claimers at once exactly one gets each number, and one survives`,
    limits,
    async (context) => {
      const { url } = await backend.start(context);
      const stores = await Promise.all(Array.from({ length: 4 }, () => open(context, url)));
      const attempts = await Promise.allSettled([...stores, ...stores].map((store) => store.claim('job')));
      const claims = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []));
      // Who is overtaken while it still looks around learns that at once.
      for (const attempt of attempts) if (attempt.status === 'rejected') assert.equal(attempt.reason.code, FENCED.code);
      const epochs = claims.map(({ epoch }) => epoch);
      assert.equal(new Set(epochs).size, epochs.length);
      const alive = [];
      for (const claim of claims) {
        const error = await claim.check().catch((reason: { code: string }) => reason);
        if (error === undefined) alive.push(claim.epoch);
        else assert.equal(error.code, FENCED.code);
      }
      assert.deepEqual(alive, [8]);
    },
  );

  test(
    `${backend.name}: an incarnation of a job that was removed and begun again is fenced`,
    limits,
    async (context) => {
      const { url } = await backend.start(context);
      const store = await open(context, url);
      const old = await store.claim('job');
      assert.equal(await store.remove('job'), true);
      const fresh = await store.claim('job');
      assert.deepEqual([old.epoch, fresh.epoch], [1, 1]);
      await assert.rejects(write(context, old, stream), FENCED);
      await fresh.check();
      assert.deepEqual(await fresh.checkpoints(), []);
    },
  );

  test(`${backend.name}: a closed claim and a closed store refuse to work`, limits, async (context) => {
    const { url } = await backend.start(context);
    const store = await open(context, url);
    const claim = await store.claim('job');
    await claim[Symbol.asyncDispose]();
    await assert.rejects(claim.check(), { code: 'ERR_STORE_CLOSED' });
    await store.close();
    await assert.rejects(store.claim('job'), { code: 'ERR_STORE_CLOSED' });
  });

  for (const [what, change, left] of [
    ['keeps fewer checkpoints', (old: Claim) => old.retain(1), [3]],
    ['ends, and removes the job', (old: Claim) => old.remove(), []],
  ] as const) {
    const name = `${backend.name}: a claim while the older incarnation ${what} takes what there is`;
    test(name, limits, async (context) => {
      const { url } = await backend.start(context);
      const old = await (await open(context, url)).claim('job');
      for (let sequence = 1; sequence <= 3; sequence++) await write(context, old, stream);
      const driver = driverOf(context, url);
      let isChanged = false;
      // It happens between a listing and the first look at what was listed.
      const watched = new Proxy(driver, {
        get:
          (target, method: keyof typeof driver) =>
          async (...args: never[]) => {
            if (method === 'get' && !isChanged) {
              isChanged = true;
              await change(old);
            }
            return await (target[method] as (...args: never[]) => unknown).apply(target, args);
          },
      });
      const newer = await claimJob({ driver: watched, key: undefined, codec: 'none' }, 'job', {});
      assert.ok(isChanged);
      const checkpoints = await newer.checkpoints();
      assert.deepEqual(
        checkpoints.map(({ sequence }) => sequence),
        left,
      );
      await assert.rejects(old.check(), FENCED);
    });
  }

  for (const hours of [0, 3, -3]) {
    const place = `${backend.name}, node's clock ${hours} h off`;
    test(`${place}: a claim clears away what interrupted ones left, and nothing else`, limits, async (context) => {
      const { url, root } = await backend.start(context);
      const store = await open(context, url, { key: KEY });
      await write(context, await store.claim('job'), stream);
      const driver = driverOf(context, url);
      const [abandoned, prepared, trash] = [
        `new-${'a'.repeat(24)}`,
        `new-${'c'.repeat(24)}`,
        `trash-${'b'.repeat(24)}`,
      ];
      for (const name of [abandoned, prepared, trash, 'mine']) await driver.mkdir(name);
      const longAgo = Date.now() / 1000 - 2 * 3600;
      utimesSync(join(root, abandoned), longAgo, longAgo);
      const now = Date.now.bind(Date);
      context.mock.method(Date, 'now', () => now() + hours * 3_600_000);
      const next = await store.claim('job');
      await store.claim('another');
      await (await next.open(1)).verify();
      const names = readdirSync(root).filter((name) => !name.startsWith('.'));
      assert.deepEqual(names.sort(), ['job-another', 'job-job', 'mine', prepared]);
    });
  }

  test(`${backend.name}: a finished record is found until the job goes on`, limits, async (context) => {
    const { url } = await backend.start(context);
    const store = await open(context, url);
    const claim = await store.claim('job');
    await write(context, claim, stream);
    assert.equal(await claim.finished(), undefined);
    const record = { exitCode: undefined, signal: 'SIGSEGV', finished: 1234, scratch: '/scratch' };
    await claim.finish(record, []);
    const next = await store.claim('job');
    const found = await next.finished();
    assert.deepEqual({ ...found, stored: undefined }, { ...record, stored: undefined });
    assert.equal((await store.list())[0]?.finished, true);
    assert.deepEqual(
      (await next.checkpoints()).map(({ sequence }) => sequence),
      [1],
    );
    const { fd } = pipeFrom(context, stream);
    const later = await next.write({
      contextFd: fd,
      complete: Promise.resolve(),
      files: async () => [],
      record: () => RECORD,
    });
    assert.equal(later.sequence, 3);
    assert.equal(await next.finished(), undefined);
  });
}

test('a claim that is given up during any of its requests leaves nothing half made', {
  skip: NO_CHIRP,
}, async (context) => {
  const server = await ChirpServer.start();
  context.after(() => server.stop());
  const driver = openChirpDriver(`chirp://${server.host}:${server.port}/store`, {});
  context.after(() => driver.close());
  await driver.prepare();
  const REQUESTS = 4;
  for (let last = 0; last < REQUESTS; last += 1) {
    const given = new AbortController();
    let requests = 0;
    const watched = new Proxy(driver, {
      get:
        (target, name: keyof typeof driver) =>
        (...args: never[]) => {
          if (requests++ === last) setImmediate(() => given.abort());
          return (target[name] as (...args: never[]) => unknown).apply(target, args);
        },
    });
    await claimRun(watched, `job-${last}`, { signal: given.signal }).catch(() => undefined);
    assert.ok(requests > last);
  }
  assert.deepEqual(
    readdirSync(join(server.root, 'store')).filter((name) => name.startsWith('new-')),
    [],
  );
});
