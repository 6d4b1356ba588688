/** Whole files: sources, targets, aborts, sizes. */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  createWriteStream,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { after, before, test } from 'node:test';
import { ChirpClient, ChirpPool, type PutSource } from '../../lib/chirp/index.ts';
import { ChirpServer, hasChirpServer } from '../support/chirp-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const skip = hasChirpServer() ? false : 'chirp_server is not installed (coop-computing-tools)';
const options = { skip, timeout: 20_000 };
const SIZE = 9 * 1024 * 1024 + 12_345;
const DATA = randomBytes(SIZE);
let server: ChirpServer;
let client: ChirpClient;
let scratch: string;

before(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'chirp-transfer-'));
  if (skip !== false) return;
  server = await ChirpServer.start();
  client = new ChirpClient({ host: server.host, port: server.port, auth: ['hostname'] });
});
after(async () => {
  await client?.close();
  await server?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

function hasLeftovers(): string[] {
  return readdirSync(server.root).filter((name) => name.startsWith('.put-'));
}

test('every kind of source arrives whole', options, async () => {
  const path = join(scratch, 'source');
  writeFileSync(path, DATA);
  const fd = openSync(path, 'r');
  const small = Array.from({ length: Math.ceil(SIZE / 5000) }, (_, i) => DATA.subarray(i * 5000, (i + 1) * 5000));
  const cases: readonly (readonly [string, PutSource, number | undefined])[] = [
    ['buffer', DATA, undefined],
    ['buffers', [Buffer.alloc(0), ...small], SIZE],
    ['readable', Readable.from(small), SIZE],
    ['file stream', createReadStream(path), SIZE],
    ['descriptor', { fd }, undefined],
    [
      'generator',
      (async function* () {
        yield* small;
      })(),
      SIZE,
    ],
  ];
  for (const [name, source, size] of cases) {
    const seen: number[] = [];
    const length = await client.putFile(`/${name}`, source, {
      ...(size === undefined ? {} : { size }),
      onProgress: ({ bytes, total }) => {
        assert.equal(total, SIZE);
        seen.push(bytes);
      },
    });
    assert.equal(length, SIZE, name);
    assert.ok(readFileSync(join(server.root, name)).equals(DATA), name);
    assert.equal(seen.at(-1), SIZE, name);
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
      name,
    );
  }
  await client.putFile('/part', { fd, position: 1000 }, { size: 5000 });
  assert.ok(readFileSync(join(server.root, 'part')).equals(DATA.subarray(1000, 6000)));
  closeSync(fd);
  await client.putFile('/empty', '');
  assert.equal((await client.getBuffer('/empty')).length, 0);
  await client.putFile('/mode', 'x', { mode: 0o700 });
  assert.equal(statSync(join(server.root, 'mode')).mode & 0o777, 0o700);
  assert.deepEqual(hasLeftovers(), []);
});

test('every kind of target gets the whole', options, async () => {
  await client.putFile('/data', DATA, { sync: true });
  assert.ok((await client.getBuffer('/data')).equals(DATA));
  const path = join(scratch, 'target');
  const fd = openSync(path, 'w+');
  assert.equal(await client.getFile('/data', { fd }), SIZE);
  assert.ok(readFileSync(path).equals(DATA));
  assert.equal(await client.getFile('/data', { fd, position: 10 }), SIZE);
  assert.ok(readFileSync(path).subarray(10).equals(DATA));
  closeSync(fd);
  const stream = createWriteStream(path, { start: 3, flags: 'r+' });
  await new Promise((resolve) => stream.once('open', resolve));
  assert.equal(await client.getFile('/data', stream), SIZE);
  await new Promise((resolve) => stream.end(resolve));
  assert.ok(
    readFileSync(path)
      .subarray(3, 3 + SIZE)
      .equals(DATA),
  );
  const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error('disk on fire')) });
  await assert.rejects(client.getFile('/data', broken), /disk on fire/);
  const readOnly = openSync(path, 'r');
  await assert.rejects(client.getFile('/data', { fd: readOnly }), { code: 'EBADF', syscall: 'write' });
  closeSync(readOnly);
  const hash = createHash('sha256');
  let most = 0;
  const slow = new Writable({
    highWaterMark: 64 * 1024,
    write(chunk: Buffer, _, done) {
      hash.update(chunk);
      most = Math.max(most, this.writableLength);
      setImmediate(done);
    },
  });
  let progress = 0;
  assert.equal(
    await client.getFile('/data', slow, {
      onProgress: ({ bytes }) => {
        progress = bytes;
      },
    }),
    SIZE,
  );
  assert.equal(progress, SIZE);
  assert.equal(hash.digest('hex'), createHash('sha256').update(DATA).digest('hex'));
  assert.ok(most <= 512 * 1024, `back-pressure was kept: ${most} bytes waited`);
  assert.equal(slow.writableEnded, false);
});

test('descriptors of many blocks, both ways, on a slow and a fast line', options, async () => {
  const content = Buffer.allocUnsafe(40 * 1024 * 1024 + 77);
  for (let i = 0; i + 4 <= content.length; i += 4) content.writeUInt32LE(i, i);
  const from = join(scratch, 'many');
  const to = join(scratch, 'many-back');
  writeFileSync(from, content);
  const read = openSync(from, 'r');
  const write = openSync(to, 'w+');
  await using proxy = await TcpProxy.start(server, { uploadRate: 400_000_000 });
  await using slow = new ChirpClient({ host: proxy.host, port: proxy.port, auth: ['hostname'] });
  for (const each of [client, slow, client]) {
    await each.putFile('/many', { fd: read });
    assert.ok(readFileSync(join(server.root, 'many')).equals(content));
    await each.getFile('/many', { fd: write });
    assert.ok(readFileSync(to).equals(content));
  }
  closeSync(read);
  closeSync(write);
});

test('a source of another length than announced is refused, nothing is left behind', options, async () => {
  await client.putFile('/length', 'before');
  await assert.rejects(client.putFile('/length', 'abc', { size: 4 }), { code: 'ERR_CHIRP_SOURCE_LENGTH' });
  await assert.rejects(client.putFile('/length', Readable.from([Buffer.from('abc')])), {
    code: 'ERR_CHIRP_SIZE_UNKNOWN',
  });
  for (const size of [2, 4]) {
    await assert.rejects(client.putFile('/length', Readable.from([Buffer.from('abc')]), { size }), {
      code: 'ERR_CHIRP_SOURCE_LENGTH',
    });
  }
  const failing = new PassThrough();
  failing.write('abc');
  setTimeout(() => failing.destroy(new Error('no more')), 30);
  await assert.rejects(client.putFile('/length', failing, { size: 10 }), /no more/);
  assert.equal((await client.getBuffer('/length')).toString(), 'before');
  assert.deepEqual(hasLeftovers(), []);
});

test('a listener that throws fails its transfer, not the process', options, async () => {
  const onProgress = (): void => {
    throw new Error('listener');
  };
  await assert.rejects(client.putFile('/listener', DATA, { onProgress }), /listener/);
  await client.putFile('/listener', DATA);
  await assert.rejects(client.getBuffer('/listener', { onProgress }), /listener/);
  assert.equal(await client.whoami(), 'hostname:localhost');
});

test('files larger than wanted are refused; a missing one leaves the connection alone', options, async () => {
  await client.putFile('/larger', DATA);
  await assert.rejects(client.getBuffer('/larger', { maxBytes: 1000 }), { code: 'ERR_CHIRP_TOO_LARGE' });
  await client.connect();
  await assert.rejects(client.getBuffer('/missing'), { code: 'CHIRP_DOES_NOT_EXIST' });
  assert.equal(client.isConnected, true);
  await assert.rejects(client.getBuffer('/'), { code: 'CHIRP_IS_DIRECTORY' });
});

test('an upload replaces atomically: readers see the old or the new content', options, async () => {
  await client.putFile('/atomic', Buffer.alloc(100_000, 'a'));
  await using reader = new ChirpClient({ host: server.host, port: server.port, auth: ['hostname'] });
  let isOver = false;
  const writing = (async () => {
    for (let i = 0; i < 20; i += 1) await client.putFile('/atomic', Buffer.alloc(100_000 + i, i % 2 === 0 ? 'b' : 'a'));
    isOver = true;
  })();
  while (!isOver) {
    const seen = await reader.getBuffer('/atomic');
    assert.ok(seen.length >= 100_000);
    assert.ok(seen.every((byte) => byte === seen[0]));
  }
  await writing;
});

test('abort in every phase rejects with the reason and leaves a usable client', options, async () => {
  await using proxy = await TcpProxy.start(server, { uploadRate: 20_000_000 });
  await using slow = new ChirpClient({ host: proxy.host, port: proxy.port, auth: ['hostname'] });
  await slow.putFile('/abort', 'before');
  for (const afterMs of [0, 1, 3, 8, 20, 60, 120]) {
    const controller = new AbortController();
    const reason = new Error(`after ${afterMs}`);
    const upload = slow.putFile('/abort', DATA, { signal: controller.signal });
    if (afterMs === 0) controller.abort(reason);
    else setTimeout(() => controller.abort(reason), afterMs);
    await assert.rejects(upload, reason);
    const other = new AbortController();
    const download = slow.getBuffer('/abort', { signal: other.signal });
    if (afterMs === 0) other.abort(reason);
    else setTimeout(() => other.abort(reason), afterMs % 4);
    await download.catch((error: unknown) => assert.equal(error, reason));
    assert.equal(await slow.whoami(), 'hostname:localhost');
  }
  assert.equal((await client.getBuffer('/abort')).toString(), 'before');
  await assert.rejects(slow.whoami({ signal: AbortSignal.abort('never') }), (reason) => reason === 'never');
  await assert.rejects(slow.putFile('/abort', DATA, { timeoutMs: 50 }), { code: 'ETIMEDOUT' });
  for (let i = 0; i < 100 && hasLeftovers().length > 0; i += 1) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(hasLeftovers(), []);
});

test('an aborted request without a body does not cost the connection', options, async () => {
  await client.connect();
  const controller = new AbortController();
  const calls = [client.whoami(), client.stat('/', { signal: controller.signal }), client.whoami()];
  await Promise.resolve();
  setImmediate(() => controller.abort(new Error('enough')));
  const results = await Promise.allSettled(calls);
  assert.equal(results[0]?.status, 'fulfilled');
  assert.equal(results[2]?.status, 'fulfilled');
  assert.equal(client.isConnected, true);
});

test('requests behind an upload wait for it and are answered', options, async () => {
  const results = await Promise.all([
    client.putFile('/first', DATA),
    client.whoami(),
    client.putFile('/second', DATA),
    client.getBuffer('/attributes').catch((error: { code: string }) => error.code),
    client.stat('/'),
  ]);
  assert.deepEqual(
    [results[0], results[1], results[2], results[3]],
    [SIZE, 'hostname:localhost', SIZE, 'CHIRP_DOES_NOT_EXIST'],
  );
});

test('a pool moves files in parallel over a bounded number of connections', options, async () => {
  await using proxy = await TcpProxy.start(server);
  await using pool = new ChirpPool({ host: proxy.host, port: proxy.port, auth: ['hostname'] }, 3);
  await Promise.all(
    Array.from({ length: 12 }, (_, i) => pool.use((c) => c.putFile(`/pool-${i}`, DATA.subarray(0, 500_000 + i)))),
  );
  assert.equal(proxy.connections, 3);
  const sizes = await Promise.all(
    Array.from({ length: 12 }, (_, i) => pool.use(async (c) => (await c.stat(`/pool-${i}`)).size - i)),
  );
  assert.deepEqual(new Set(sizes), new Set([500_000]));
  const holds = [1, 2, 3].map(() => pool.use(() => new Promise((resolve) => setTimeout(resolve, 50))));
  await assert.rejects(
    pool.use((c) => c.whoami(), AbortSignal.timeout(5)),
    { name: 'TimeoutError' },
  );
  await Promise.all(holds);
  assert.equal(await pool.use((c) => c.whoami()), 'hostname:localhost');
});

test('a closed client refuses; closing waits for what is under way', options, async () => {
  const other = new ChirpClient({ host: server.host, port: server.port, auth: ['hostname'] });
  const upload = other.putFile('/closing', DATA);
  await other.whoami();
  const last = other.stat('/');
  await other.close();
  await other.close();
  assert.equal((await last).type, 'directory');
  assert.equal(await upload, SIZE);
  await assert.rejects(other.whoami(), { code: 'ERR_CHIRP_CLOSED' });
  const third = new ChirpClient({ host: server.host, port: server.port, auth: ['hostname'] });
  await third.connect();
  const pending = assert.rejects(third.putFile('/never', DATA), { code: 'ERR_CHIRP_CLOSED' });
  third.destroy();
  await pending;
});
