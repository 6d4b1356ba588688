import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ChirpServer } from '../support/chirp-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import {
  BACKENDS,
  bundleWorkers,
  KEY,
  NO_CHIRP,
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
import { contextStream, randomMemory } from './streams.ts';

bundleWorkers();

const small = Buffer.concat([...contextStream(randomMemory(500_000))]);
const large = Buffer.concat([...contextStream(randomMemory(70_000_000))]);
const IS_ROOT = process.getuid?.() === 0;

for (const backend of BACKENDS) {
  const limits = { timeout: 120_000, skip: skipReason(backend.name) };

  test(
    `${backend.name}: an abort at any step leaves the previous checkpoint and nothing else`,
    limits,
    async (context) => {
      const { url, root } = await backend.start(context);
      const claim = await (await open(context, url)).claim('job');
      await write(context, claim, small);
      const packs = objects(root, 'pack-');
      for (const steps of [0, 1, 3, 6, 10]) {
        const controller = new AbortController();
        let seen = 0;
        const onProgress = (): void => {
          if (++seen >= steps) controller.abort(new Error('enough'));
        };
        if (steps === 0) controller.abort(new Error('enough'));
        await assert.rejects(write(context, claim, large, { options: { signal: controller.signal, onProgress } }), {
          message: 'enough',
        });
        assert.deepEqual(objects(root, 'pack-'), packs);
        assert.deepEqual([...objects(root, 'tmp-'), ...objects(root, '.put-'), ...objects(root, 'ckpt-2')], []);
      }
      assert.deepEqual(
        openDescriptors('/tmp/store-test').filter((line) => line.includes('fifo')),
        [],
      );
      const after = await write(context, claim, small);
      assert.equal(after.sequence, 2);
      await (await claim.open(1)).verify();
    },
  );

  test(
    `${backend.name}: a context that ends early or that the engine disowns is not published`,
    limits,
    async (context) => {
      const { url, root } = await backend.start(context);
      const claim = await (await open(context, url)).claim('job');
      await write(context, claim, small);
      await assert.rejects(write(context, claim, large.subarray(0, 50_000_000)), { code: 'ERR_STORE_CONTEXT' });
      const late = new Promise((_, reject) => setTimeout(() => reject(new Error('CR_EPTRACED')), 400));
      await assert.rejects(write(context, claim, large.subarray(0, 1_000_000), { complete: late }), {
        message: 'CR_EPTRACED',
      });
      await assert.rejects(write(context, claim, small, { complete: Promise.reject(new Error('dead')) }), {
        message: 'dead',
      });
      await assert.rejects(write(context, claim, Buffer.alloc(0)), { code: 'ERR_STORE_CONTEXT' });
      assert.equal(objects(root, 'pack-').length, 1);
      assert.equal(objects(root, 'ckpt-').length, 1);
    },
  );

  test(
    `${backend.name}: a writer that is killed at any moment leaves complete checkpoints only`,
    limits,
    async (context) => {
      const { url, root } = await backend.start(context);
      const program = fileURLToPath(new URL('writer-process.ts', import.meta.url));
      const scratch = temporaryDirectory(context);
      let known = 0;
      for (let turn = 0; turn < 6; turn++) {
        const child = spawn(process.execPath, ['--import', 'tsx', program, url, '40000000', scratch], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        const ended = new Promise((resolve) => child.once('close', resolve));
        let lines = 0;
        for await (const line of createInterface(child.stdout)) {
          if (line !== 'claimed') known = Number(line);
          // Killed a little later each time: while claiming, reading, uploading, publishing, retaining.
          if (++lines === 1 + (turn % 3)) setTimeout(() => child.kill('SIGKILL'), turn * 45);
        }
        await ended;
        const store = await open(context, url);
        const view = await store.inspect('job');
        const found = (await view?.checkpoints()) ?? [];
        assert.ok((found[0]?.sequence ?? 0) >= known, `${known} was complete, ${found[0]?.sequence} is the newest`);
        for (const { sequence } of found) await (await view?.open(sequence))?.verify();
        known = Math.max(known, found[0]?.sequence ?? 0);
      }
      const claim = await (await open(context, url)).claim('job');
      assert.deepEqual(claim.damaged, []);
      await claim.retain(1);
      assert.equal(objects(root, 'ckpt-').length, 1);
      assert.equal(objects(root, 'pack-').length, 2);
      assert.deepEqual([...objects(root, 'tmp-'), ...objects(root, '.put-')], []);
    },
  );
}

test('directory: a full disk is told, and what exists stays usable', {
  timeout: 60_000,
  skip: IS_ROOT ? false : 'mounting a tmpfs needs root',
}, async (context) => {
  const root = mkdtempSync(join(tmpdir(), 'store-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=20M', 'tmpfs', root]);
  context.after(() => {
    execFileSync('umount', ['-l', root]);
    rmdirSync(root);
  });
  const claim = await (await open(context, `file://${root}`)).claim('job');
  await write(context, claim, small);
  await assert.rejects(write(context, claim, large), { code: 'ERR_STORE_FULL', retriable: true });
  await (await claim.open(1)).verify();
  assert.equal(objects(root, 'pack-').length, 1);
  await write(context, claim, Buffer.concat([...contextStream(randomMemory(1_000_000))]));
});

test('chirp: a full disk is told, and what exists stays usable', {
  timeout: 60_000,
  skip: IS_ROOT ? NO_CHIRP : 'mounting a tmpfs needs root',
}, async (context) => {
  await using server = await ChirpServer.start({ size: '20M' });
  const store = await open(context, `chirp://${server.host}:${server.port}/store`);
  const claim = await store.claim('job');
  await write(context, claim, small);
  await assert.rejects(write(context, claim, large), { code: 'ERR_STORE_FULL', retriable: true });
  await (await claim.open(1)).verify();
  await write(context, claim, Buffer.concat([...contextStream(randomMemory(1_000_000))]));
  await store.close();
});

test('directory: missing rights are told', { timeout: 30_000 }, async (context) => {
  const root = temporaryDirectory(context);
  const parent = join(root, 'closed');
  mkdirSync(parent);
  chmodSync(parent, 0o500);
  const run = `import { openStore } from ${JSON.stringify(new URL('../../lib/store/index.ts', import.meta.url).href)};
    const store = await openStore('file://${parent}/store');
    await store.claim('job').catch((error) => console.log(error.code));`;
  const command = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', run];
  const asUser = IS_ROOT ? ['setpriv', '--reuid', '1000', '--regid', '1000', '--clear-groups', ...command] : command;
  chmodSync(root, 0o755);
  const [program = '', ...args] = asUser;
  const output = execFileSync(program, args, { encoding: 'utf8', env: { ...process.env, HOME: '/tmp' } });
  assert.equal(output, 'ERR_STORE_DENIED\n');
});

for (const [what, acl] of [
  ['to delete', 'hostname:localhost rwl\n'],
  ['to write', 'hostname:localhost rl\n'],
  ['of any kind', 'hostname:elsewhere rwlda\n'],
] as const) {
  test(`chirp: missing rights ${what} are told`, { timeout: 30_000, skip: NO_CHIRP }, async (context) => {
    await using server = await ChirpServer.start({ acl });
    const store = await open(context, `chirp://${server.host}:${server.port}/store`, { auth: ['hostname'] });
    await assert.rejects(store.claim('job'), { code: 'ERR_STORE_DENIED', message: /being hostname:localhost for/ });
    await store.close();
  });
}

test('chirp: refused logins, refused ports and unknown hosts are told', {
  timeout: 60_000,
  skip: NO_CHIRP,
}, async (context) => {
  await using server = await ChirpServer.start({ auth: ['unix'] });
  const refused = await open(context, `chirp://${server.host}:${server.port}/`, { auth: ['hostname'] });
  await assert.rejects(refused.claim('job'), { code: 'ERR_STORE_DENIED' });
  const { port } = server;
  await server.stop();
  const gone = await open(context, `chirp://127.0.0.1:${port}/`);
  await assert.rejects(gone.claim('job'), { code: 'ERR_STORE_UNREACHABLE', retriable: true });
  const unknown = await open(context, 'chirp://no-such-host.invalid/');
  await assert.rejects(unknown.claim('job'), { code: 'ERR_STORE_UNREACHABLE' });
});

test('chirp: connections cut in the middle of an upload and of a download are survived', {
  timeout: 120_000,
  skip: NO_CHIRP,
}, async (context) => {
  await using server = await ChirpServer.start();
  await using proxy = await TcpProxy.start(server);
  const store = await open(context, `chirp://${proxy.host}:${proxy.port}/store`, { key: KEY });
  const claim = await store.claim('job');
  for (const bytes of [1000, 10_000_000, 45_000_000]) {
    proxy.cutAfter(bytes);
    const stream = Buffer.concat([...contextStream(randomMemory(70_000_000))]);
    const { sequence } = await write(context, claim, stream);
    assert.ok((await readBack(context, await claim.open(sequence))).equals(stream));
    await claim.retain(1);
    // The server may remove what the cut left at any time: what was sent again must not bear its name.
    const again = objects(server.root, 'pack-').filter((path) => path.endsWith('.1'));
    if (bytes > 1000) assert.ok(again.length > 0);
  }
  assert.deepEqual(objects(server.root, '.put-'), []);
  await store.close();
});

test('chirp: a server that is killed and comes back costs a pause, one that stays away an error', {
  timeout: 120_000,
  skip: NO_CHIRP,
}, async (context) => {
  await using server = await ChirpServer.start();
  const store = await open(context, `chirp://${server.host}:${server.port}/store`);
  const claim = await store.claim('job');
  await write(context, claim, small);
  let restarted: Promise<void> | undefined;
  const onProgress = ({ shipped }: { readonly shipped: number }): void => {
    if (shipped > 5_000_000) restarted ??= server.restart();
  };
  await write(context, claim, large, { options: { onProgress } });
  assert.ok(restarted !== undefined);
  await restarted;
  assert.ok((await readBack(context, await claim.open(2))).equals(large));
  await server.kill();
  const { fd } = pipeFrom(context, Buffer.concat([...contextStream(randomMemory(1_000_000))]));
  const request = { contextFd: fd, complete: Promise.resolve(), files: async () => [], record: () => RECORD };
  await assert.rejects(claim.write(request), { code: 'ERR_STORE_UNREACHABLE', retriable: true });
  await server.restart();
  assert.deepEqual(
    (await claim.checkpoints()).map(({ sequence }) => sequence),
    [2, 1],
  );
  const { sequence } = await write(context, claim, small);
  assert.equal(sequence, 3);
  await store.close();
});
