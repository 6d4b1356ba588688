/** Servers that do what they must not: nothing of it may be executed, believed, or waited for without end. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ChirpClient, type ChirpClientOptions } from '../../lib/chirp/index.ts';
import { type Script, ScriptedChirp } from '../support/scripted-chirp.ts';

const options = { timeout: 10_000 };
const BODY = Buffer.from('\nmkdir /pwned 493\n'.repeat(200_000));

function clientOf(server: ScriptedChirp, more: Partial<ChirpClientOptions> = {}): ChirpClient {
  const { host, port } = server;
  return new ChirpClient({
    host,
    port,
    auth: ['hostname'],
    retry: false,
    stallTimeoutMs: 400,
    slowTimeoutMs: 400,
    ...more,
  });
}

const refuse =
  (answer: string): Script =>
  (_line, socket) => {
    socket.write(answer);
  };

test('no byte of a body leaves before the go-ahead, and none after a refusal', options, async () => {
  let wasSilent = false;
  await using server = await ScriptedChirp.start((line, socket) => {
    if (!line.startsWith('putfile')) return void socket.write('0\n');
    setTimeout(() => {
      wasSilent = server.received[0]?.toString('latin1').match(/^putfile \/x 384 \d+\n$/) !== null;
      socket.write('-2\n');
    }, 100);
  });
  await using client = clientOf(server);
  await client.connect();
  const put = client.putFile('/x', BODY, { atomic: false, checkSpace: false });
  put.catch(() => undefined);
  while (server.received[0]?.length === 0) await sleep(5);
  const behind = client.chmod('/y', 0o600);
  await assert.rejects(put, { code: 'CHIRP_NOT_AUTHORIZED' });
  await behind;
  assert.equal(wasSilent, true);
  assert.match(server.received[0]?.toString('latin1') ?? '', /^putfile \/x 384 \d+\nchmod \/y 384\n$/);
  assert.equal(server.connections, 1);
});

test('a refusal in the middle of a body ends the connection with the code of the server', options, async () => {
  await using server = await ScriptedChirp.start((line, socket) => {
    if (!line.startsWith('putfile')) return;
    socket.write('0\n');
    socket.pause();
    setTimeout(() => socket.write('-127\n'), 50);
  });
  await using client = clientOf(server);
  const body = Buffer.alloc(64 * 1024 * 1024);
  await assert.rejects(client.putFile('/x', body, { atomic: false, checkSpace: false }), {
    code: 'CHIRP_UNKNOWN',
    result: -127,
  });
  assert.equal(client.isConnected, false);
});

test('a refusal behind the body costs the connection', options, async () => {
  await using server = await ScriptedChirp.start((line, socket) => {
    if (line.startsWith('putfile')) socket.write('0\n');
    if (line === 'abc') socket.write('-6\n');
  });
  await using client = clientOf(server);
  await assert.rejects(client.putFile('/x', 'abc\n', { atomic: false }), { code: 'CHIRP_NO_SPACE' });
  assert.equal(client.isConnected, false);
});

test('another length than was sent is not success', options, async () => {
  for (const answer of ['3\n', '5\n', 'ok\n']) {
    await using server = await ScriptedChirp.start((line, socket) => {
      if (line.startsWith('putfile')) socket.write('0\n');
      if (line === 'abc') socket.write(answer);
    });
    await using client = clientOf(server);
    await assert.rejects(client.putFile('/x', 'abc\n', { atomic: false }), {
      code: 'ERR_CHIRP_PROTOCOL',
      retriable: false,
    });
  }
});

test('answers that are none', options, async () => {
  for (const answer of [
    '\n',
    'yes\n',
    '0x0\n',
    '1e9\n',
    '99999999999999999999\n',
    '7\n',
    `${'0'.repeat(100_000)}\n`,
    'A'.repeat(1 << 20),
  ]) {
    await using server = await ScriptedChirp.start(refuse(answer));
    await using client = clientOf(server);
    await assert.rejects(client.chmod('/', 1), { code: 'ERR_CHIRP_PROTOCOL' }, JSON.stringify(answer.slice(0, 20)));
    assert.equal(client.isConnected, false);
  }
});

test('what nobody asked for ends the connection; the next request makes a new one', options, async () => {
  let isTalkative = true;
  await using server = await ScriptedChirp.start((_line, socket) => {
    socket.write('0\n');
    if (isTalkative) setTimeout(() => socket.write('0\n'), 20);
  });
  await using client = clientOf(server);
  await client.chmod('/', 1);
  await sleep(60);
  assert.equal(client.isConnected, false);
  isTalkative = false;
  await client.chmod('/', 1);
  assert.equal(server.connections, 2);
});

test('a listing without end, a drip, and silence are given up', options, async () => {
  await using drip = await ScriptedChirp.start((_line, socket) => {
    socket.write('0\n');
    const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.write('x')), 1);
  });
  await using dripped = clientOf(drip);
  const started = Date.now();
  await assert.rejects(dripped.getdir('/', { timeoutMs: 500 }), { code: 'ETIMEDOUT' });
  assert.ok(Date.now() - started < 2000);
  dripped.destroy();
  await using silent = await ScriptedChirp.start(() => undefined);
  await using waiting = clientOf(silent);
  await assert.rejects(waiting.stat('/'), { code: 'ETIMEDOUT', name: 'ChirpConnectionError' });
});

test('a huge announced length is refused without its memory', options, async () => {
  await using server = await ScriptedChirp.start(refuse('9000000000000000\n'));
  await using client = clientOf(server);
  await assert.rejects(client.getBuffer('/x'), { code: 'ERR_CHIRP_TOO_LARGE' });
  await assert.rejects(client.readlink('/x'), { code: 'ERR_CHIRP_PROTOCOL' });
});

test('a file without end fills no memory when the target is slow', options, async () => {
  await using server = await ScriptedChirp.start((_line, socket) => {
    socket.write('1000000000\n');
    const block = Buffer.alloc(1 << 20);
    const pump = (): void => {
      while (!socket.destroyed && socket.write(block));
      if (!socket.destroyed) socket.once('drain', pump);
    };
    pump();
  });
  await using client = clientOf(server);
  const { Writable } = await import('node:stream');
  const stuck = new Writable({ highWaterMark: 1 << 16, write: () => undefined });
  const before = process.memoryUsage().rss;
  const download = client.getFile('/x', stuck, { timeoutMs: 800 });
  await assert.rejects(download, { code: 'ETIMEDOUT' });
  assert.ok(process.memoryUsage().rss - before < 64 << 20);
});

test('replies cut into single bytes are understood', options, async () => {
  await using server = await ScriptedChirp.start(async (line, socket) => {
    const reply = line.startsWith('getfile') ? '5\n-1\n0\n' : '0\n';
    for (const byte of Buffer.from(reply)) {
      socket.write(Buffer.from([byte]));
      await sleep(1);
    }
  });
  await using client = clientOf(server);
  assert.equal((await client.getBuffer('/x')).toString(), '-1\n0\n');
  await client.chmod('/x', 1);
});

test('a directory that somebody else is making has no access list for a moment', options, async () => {
  const answers: Readonly<Record<string, readonly string[]>> = {
    stat: ['-3\n', '0\n0 0 16877 1 0 0 0 0 0 0 0 0 0\n', '-2\n', '-2\n', '0\n0 0 16877 1 0 0 0 0 0 0 0 0 0\n'],
    mkdir: ['-4\n'],
  };
  const asked: Record<string, number> = {};
  await using server = await ScriptedChirp.start((line, socket) => {
    const command = line.split(' ')[0] ?? '';
    const turn = asked[command] ?? 0;
    asked[command] = turn + 1;
    socket.write(answers[command]?.[turn] ?? '-127\n');
  });
  await using client = clientOf(server);
  await client.mkdirp('/store');
  assert.deepEqual(asked, { stat: 5, mkdir: 1 });
});
