/** What goes wrong with real servers, networks and disks. */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ChirpClient, type ChirpClientOptions } from '../../lib/chirp/index.ts';
import { ChirpServer, hasChirpServer } from '../support/chirp-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const skip = hasChirpServer() ? false : 'chirp_server is not installed (coop-computing-tools)';
const options = { skip, timeout: 30_000 };
const asRoot = {
  ...options,
  skip: skip !== false ? skip : process.getuid?.() === 0 ? false : 'needs root to mount a small tmpfs',
};
const DATA = Buffer.alloc(6 * 1024 * 1024, 'chirp');

function clientOf(peer: { host: string; port: number }, more: Partial<ChirpClientOptions> = {}): ChirpClient {
  return new ChirpClient({
    host: peer.host,
    port: peer.port,
    auth: ['hostname'],
    retry: { attempts: 6, baseMs: 20 },
    ...more,
  });
}

test('a server killed and started again: requests are retried, files opened again', options, async () => {
  await using server = await ChirpServer.start();
  const retries: unknown[] = [];
  await using client = clientOf(server, {
    retry: { attempts: 8, baseMs: 40 },
    onRetry: (error) => retries.push(error),
  });
  await client.putFile('/kept', 'kept');
  const file = await client.open('/kept', 'rw');
  await server.kill();
  const read = client.getBuffer('/kept');
  const block = file.pread(2, 1);
  await sleep(60);
  await server.restart();
  assert.equal((await read).toString(), 'kept');
  assert.equal((await block).toString(), 'ep');
  assert.ok(retries.length > 0);
  await client.putFile('/kept', 'other');
  await server.restart();
  await assert.rejects(file.pread(2, 1), { code: 'ERR_CHIRP_STALE_FILE' });
  await file.close();
});

test('a server that is gone is a typed error after the retries, in bounded time', options, async () => {
  await using server = await ChirpServer.start();
  await using client = clientOf(server, { retry: { attempts: 3, baseMs: 10 } });
  await client.connect();
  await server.kill();
  await assert.rejects(client.stat('/'), {
    name: 'ChirpConnectionError',
    code: /ECONNREFUSED|ECONNRESET/,
    retriable: true,
  });
  await assert.rejects(client.putFile('/x', DATA), { name: 'ChirpConnectionError' });
});

test('what is not idempotent is not repeated once it has been sent', options, async () => {
  await using server = await ChirpServer.start();
  await using proxy = await TcpProxy.start(server);
  const retries: unknown[] = [];
  await using client = clientOf(proxy, { onRetry: (error) => retries.push(error) });
  await client.connect();
  proxy.cutAfter(1);
  await assert.rejects(client.mkdir('/once'), { code: 'ECONNRESET', retriable: false });
  assert.deepEqual(retries, []);
  proxy.cutAfter(1);
  assert.equal(await client.whoami(), 'hostname:localhost');
  assert.equal(retries.length, 1);
});

test(
  'an upload cut at any place is repeated under a new name; the old content stays until the rename',
  options,
  async () => {
    await using server = await ChirpServer.start();
    await using proxy = await TcpProxy.start(server);
    await using client = clientOf(proxy);
    await client.putFile('/cut', 'before');
    for (const place of [1, 20, 60, 100_000, 3_000_000, DATA.length + 100]) {
      proxy.cutAfter(place);
      assert.equal(await client.putFile('/cut', DATA), DATA.length, `cut after ${place}`);
      assert.ok((await client.getBuffer('/cut')).equals(DATA));
      await client.putFile('/cut', 'before');
    }
    await using once = clientOf(proxy, { retry: false });
    await once.connect();
    proxy.cutAfter(1_000_000);
    await assert.rejects(once.putFile('/cut', DATA), {
      name: 'ChirpConnectionError',
      code: /ECONNRESET|EPIPE/,
      retriable: true,
    });
    assert.equal((await client.getBuffer('/cut')).toString(), 'before');
    for (let i = 0; i < 100 && readdirSync(server.root).some((name) => name.startsWith('.put-')); i += 1)
      await sleep(20);
    assert.deepEqual(
      readdirSync(server.root).filter((name) => name.startsWith('.put-')),
      [],
    );
  },
);

test('the answer to the rename of an upload is lost: found out, not repeated blindly', options, async () => {
  await using server = await ChirpServer.start();
  await using proxy = await TcpProxy.start(server);
  await using client = clientOf(proxy);
  await client.connect();
  // Wait for the rename on the server, then cut before its answer could have been read.
  proxy.silence();
  const upload = client.putFile('/renamed', 'content');
  proxy.silence(false);
  for (let i = 0; i < 200 && !existsSync(join(server.root, 'renamed')); i += 1) await sleep(1);
  proxy.cut();
  assert.equal(await upload, 7);
  assert.equal((await client.getBuffer('/renamed')).toString(), 'content');
});

test('a network that swallows everything ends in ETIMEDOUT, in both directions', options, async () => {
  await using server = await ChirpServer.start();
  await using proxy = await TcpProxy.start(server);
  await using client = clientOf(proxy, {
    retry: false,
    stallTimeoutMs: 300,
    slowTimeoutMs: 300,
    connectTimeoutMs: 300,
  });
  await client.connect();
  proxy.silence();
  await assert.rejects(client.stat('/'), { code: 'ETIMEDOUT' });
  await assert.rejects(client.stat('/'), { code: 'ETIMEDOUT' });
  proxy.silence(false);
  await client.connect();
  const upload = client.putFile('/stalled', Buffer.alloc(32 * 1024 * 1024), { onProgress: () => proxy.silence() });
  await assert.rejects(upload, { code: 'ETIMEDOUT' });
});

test('a slow network is not a stalled one', options, async () => {
  await using server = await ChirpServer.start();
  await using proxy = await TcpProxy.start(server, { uploadRate: 8_000_000 });
  await using client = clientOf(proxy, { retry: false, stallTimeoutMs: 500 });
  assert.equal(await client.putFile('/slow', DATA.subarray(0, 5_000_000)), 5_000_000);
});

test('a file that shrinks while it is sent ends in ETIMEDOUT, not in mixed-up replies', options, async () => {
  await using server = await ChirpServer.start();
  await using client = clientOf(server, { retry: false, stallTimeoutMs: 400 });
  const big = Buffer.alloc(64 * 1024 * 1024, 1);
  await client.putFile('/shrinks', big);
  let isCut = false;
  const download = client.getBuffer('/shrinks', {
    onProgress: () => {
      if (!isCut) truncateSync(join(server.root, 'shrinks'), 1000);
      isCut = true;
    },
  });
  const who = client.whoami();
  const results = await Promise.allSettled([download, who]);
  assert.equal(results[0].status, 'rejected');
  assert.equal((results[0].reason as { code: string }).code, 'ETIMEDOUT');
  assert.equal(results[1].status, 'rejected', 'the answer behind the broken body is not trusted');
  assert.equal(await client.whoami(), 'hostname:localhost');
});

test('idle connections are kept alive; without that they are made again', options, async () => {
  await using server = await ChirpServer.start({ idle: 3 });
  await using proxy = await TcpProxy.start(server);
  await using kept = clientOf(proxy, { keepAliveMs: 200 });
  await using dropped = clientOf(proxy, { keepAliveMs: 0 });
  await Promise.all([kept.connect(), dropped.connect()]);
  while (dropped.isConnected) await sleep(50);
  await sleep(500);
  assert.equal(kept.isConnected, true);
  assert.equal(await kept.whoami(), await dropped.whoami());
  assert.equal(proxy.connections, 3);
});

test('a full disk is told before the body when it can be, after it when not, and nothing is left', asRoot, async () => {
  await using server = await ChirpServer.start({ size: '4M' });
  await using client = clientOf(server);
  await client.putFile('/old', Buffer.alloc(1024 * 1024, 'o'));
  await assert.rejects(client.putFile('/old', DATA), { code: 'CHIRP_NO_SPACE', result: -6 });
  assert.equal(client.isConnected, true, 'nothing was sent');
  await assert.rejects(client.putFile('/old', DATA, { checkSpace: false }), {
    code: 'CHIRP_NO_SPACE',
    command: 'putfile',
  });
  assert.equal((await client.getBuffer('/old')).length, 1024 * 1024);
  assert.deepEqual((await client.getdir('/')).sort(), ['old']);
  await using file = await client.open('/blocks', 'wct');
  await assert.rejects(file.pwrite(DATA, 0), { code: 'CHIRP_NO_SPACE', command: 'pwrite' });
  assert.equal(client.isConnected, true);
});

test('a quota refuses at the go-ahead; the empty file it leaves is removed', options, async () => {
  await using server = await ChirpServer.start({ quota: '2MB' });
  await using client = clientOf(server);
  await assert.rejects(client.putFile('/over', DATA, { checkSpace: false }), { code: 'CHIRP_NO_SPACE' });
  assert.deepEqual(
    readdirSync(server.root).filter((name) => !name.startsWith('.__')),
    [],
  );
  await client.putFile('/fits', DATA.subarray(0, 100_000));
});

test('missing rights are typed errors, whichever is missing', options, async () => {
  await using server = await ChirpServer.start({ acl: 'hostname:localhost rl\nunix:* rwlda\n' });
  await using client = clientOf(server);
  for (const attempt of [
    () => client.putFile('/x', 'x'),
    () => client.putFile('/x', DATA),
    () => client.putFile('/x', 'x', { atomic: false }),
    () => client.mkdir('/d'),
    () => client.mkdirp('/d/e'),
    () => client.rename('/a', '/b'),
    () => client.acl.set('/', 'hostname:localhost', 'rwlda'),
    () => client.open('/x', 'wc'),
  ]) {
    await assert.rejects(attempt, { code: 'CHIRP_NOT_AUTHORIZED', result: -2, retriable: false });
  }
  assert.equal(client.isConnected, true);
  await using blind = await ChirpServer.start({ acl: 'hostname:localhost rwd\n' });
  await using writer = clientOf(blind);
  assert.equal(
    await writer.putFile('/x', DATA),
    DATA.length,
    'without right l the free space cannot be asked, which must not matter',
  );
});

test('an idle client does not keep the process alive', { ...options, timeout: 15_000 }, async () => {
  const { spawn } = await import('node:child_process');
  await using server = await ChirpServer.start();
  const program = `import { ChirpClient } from ${JSON.stringify(new URL('../../lib/chirp/index.ts', import.meta.url).href)};
const client = new ChirpClient({ host: '127.0.0.1', port: ${server.port}, auth: ['hostname'] });
console.log(await client.whoami());`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const started = Date.now();
  assert.equal(await new Promise((resolve) => child.once('exit', resolve)), 0);
  assert.equal(output, 'hostname:localhost\n');
  assert.ok(Date.now() - started < 10_000);
});
