/** Logins against real and scripted servers. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type AuthMethod, ChirpAuthError, ChirpClient, ticketName, ticketPublicKey } from '../../lib/chirp/index.ts';
import { ChirpServer, hasChirpServer } from '../support/chirp-server.ts';
import { ScriptedChirp } from '../support/scripted-chirp.ts';

const skip = hasChirpServer() ? false : 'chirp_server is not installed (coop-computing-tools)';
const options = { skip, timeout: 20_000 };
let server: ChirpServer;
let scratch: string;

before(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'chirp-auth-'));
  if (skip === false) server = await ChirpServer.start();
});
after(async () => {
  await server?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

function clientFor(
  auth: readonly AuthMethod[],
  tickets: readonly string[] = [],
  peer: { host: string; port: number } = server,
): ChirpClient {
  const { host, port } = peer;
  const challengeDirectories = [server?.challengeDirectory ?? '/tmp'];
  return new ChirpClient({ host, port, auth, tickets, challengeDirectories, retry: false, connectTimeoutMs: 8000 });
}

async function refusal(client: ChirpClient): Promise<ChirpAuthError> {
  try {
    await client.connect();
  } catch (error) {
    assert.ok(error instanceof ChirpAuthError, String(error));
    assert.equal(error.code, 'ERR_CHIRP_AUTH');
    return error;
  } finally {
    await client.close();
  }
  return assert.fail('logged in');
}

test('hostname, address and unix', options, async () => {
  const me = userInfo().username;
  for (const [method, name] of [
    ['hostname', 'localhost'],
    ['address', '127.0.0.1'],
    ['unix', me],
  ] as const) {
    await using client = clientFor([method]);
    assert.deepEqual(await client.connect(), { method, name });
    assert.equal(await client.whoami(), `${method}:${name}`);
  }
  assert.deepEqual(readdirSync(server.challengeDirectory), [], 'challenge files are removed');
});

test('methods are tried in the configured order, refused ones are passed over', options, async () => {
  await using unixOnly = await ChirpServer.start({ auth: ['unix'] });
  const { host, port, challengeDirectory } = unixOnly;
  await using client = new ChirpClient({
    host,
    port,
    challengeDirectories: [challengeDirectory],
    auth: ['hostname', 'address', 'unix'],
  });
  assert.equal((await client.connect()).method, 'unix');
  await using second = clientFor(['address', 'hostname']);
  assert.equal((await second.connect()).method, 'address');
});

test('when all are refused, the error tells each reason', options, async () => {
  await using addressOnly = await ChirpServer.start({ auth: ['address'] });
  const error = await refusal(clientFor(['hostname', 'unix'], [], addressOnly));
  assert.deepEqual(
    error.tried.map(({ method }) => method),
    ['hostname', 'unix'],
  );
  assert.equal(error.retriable, false);
});

test('a challenge outside the allowed directories is declined, and the next method tried', options, async () => {
  const { host, port } = server;
  await using client = new ChirpClient({ host, port, auth: ['unix', 'address'], challengeDirectories: ['/nowhere'] });
  assert.equal((await client.connect()).method, 'address');
});

test('a server cannot make us create files elsewhere or over links', { timeout: 20_000 }, async () => {
  const target = join(scratch, 'target');
  const link = join(scratch, 'challenge.7.7');
  symlinkSync(target, link);
  for (const asked of [join(scratch, 'authorized_keys'), link, '/etc/challenge.1.1', `${scratch}/x/../challenge.1.1`]) {
    await using evil = await ScriptedChirp.start(
      (line, socket) => socket.end(line === 'no' ? '' : 'yes\n'),
      `yes\n${asked}\n`,
    );
    const { host, port } = evil;
    await using client = new ChirpClient({ host, port, auth: ['unix'], challengeDirectories: [scratch], retry: false });
    const error = await refusal(client);
    assert.match(error.message, /challenge/);
    for (let i = 0; i < 50 && evil.received[0]?.length === 0; i += 1)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(evil.received[0]?.toString(), 'no\n', asked);
  }
  assert.equal(existsSync(target), false);
  assert.deepEqual(readdirSync(scratch), ['challenge.7.7']);
  rmSync(link);
});

test('a login cut off in the middle leaves no challenge file', { timeout: 20_000 }, async () => {
  await using dying = await ScriptedChirp.start(
    (_, socket) => socket.destroy(),
    `yes\n${join(scratch, 'challenge.1.2')}\n`,
  );
  const { host, port } = dying;
  await using client = new ChirpClient({ host, port, auth: ['unix'], challengeDirectories: [scratch], retry: false });
  await assert.rejects(client.connect(), { code: 'ECONNRESET' });
  assert.deepEqual(readdirSync(scratch), []);
});

test(
  'a ticket logs in with the rights it was given; unknown, expired and unusable ones are passed over',
  options,
  async () => {
    const file = join(scratch, 'good.ticket');
    const unknown = join(scratch, 'unknown.ticket');
    for (const path of [file, unknown]) {
      const pem = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({
        type: 'pkcs1',
        format: 'pem',
      });
      writeFileSync(path, `# comment of the tools\n${pem}# and more behind\n`);
    }
    const publicKey = ticketPublicKey(execFileSync('cat', [file]));
    const name = ticketName(publicKey);
    await using owner = clientFor(['hostname']);
    await owner.putFile('/secret', 'x');
    await owner.tickets.register(publicKey, 600);
    await owner.tickets.modify(name, '/', 'rl');
    assert.deepEqual(await owner.tickets.list(), [name]);
    const info = await owner.tickets.get(name);
    assert.equal(info.publicKey, publicKey);
    assert.equal(info.subject, 'hostname:localhost');
    assert.ok(info.secondsLeft > 500 && info.secondsLeft <= 600);

    await using guest = clientFor(['ticket'], [join(scratch, 'missing'), unknown, file]);
    assert.deepEqual(await guest.connect(), { method: 'ticket', name: name.slice('ticket:'.length) });
    assert.equal((await guest.getBuffer('/secret')).toString(), 'x');
    await assert.rejects(guest.putFile('/other', 'y'), { code: 'CHIRP_NOT_AUTHORIZED' });

    await using fallback = clientFor(['ticket', 'address'], [unknown]);
    assert.equal((await fallback.connect()).method, 'address');

    await owner.tickets.delete(name);
    assert.deepEqual(await owner.tickets.list(), []);
    const error = await refusal(clientFor(['ticket'], [file]));
    assert.match(error.message, /unknown or expired/);
    assert.match((await refusal(clientFor(['ticket'], [join(scratch, 'missing')]))).message, /ENOENT/);
  },
);

test('a ticket made by the chirp tool logs in', options, async () => {
  const file = join(scratch, 'tool.ticket');
  execFileSync(
    'chirp',
    [
      '-a',
      'hostname',
      `${server.host}:${server.port}`,
      'ticket_create',
      '-output',
      file,
      '-bits',
      '1024',
      '-duration',
      '600',
      '/',
      'rwl',
    ],
    {
      timeout: 15_000,
      stdio: 'pipe',
    },
  );
  await using client = clientFor(['ticket'], [file]);
  assert.equal((await client.connect()).method, 'ticket');
  await client.putFile('/from-ticket', 'x', { atomic: false });
});

test('both refusals of a ticket are understood, and nothing but 64 bytes is signed', { timeout: 20_000 }, async () => {
  const file = join(scratch, 'key.pem');
  writeFileSync(
    file,
    generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
  );
  for (const word of ['declined', 'failure']) {
    await using old = await ScriptedChirp.start((line, socket) => {
      if (line === '==') socket.end();
      else socket.write(line === 'address' ? 'yes\nyes\nyes\naddress\nx\n' : `${word}\n`);
    }, 'yes\n');
    await assert.rejects(clientFor(['ticket'], [file], old).connect(), { code: 'ERR_CHIRP_AUTH' });
  }
  await using oracle = await ScriptedChirp.start((_, socket) => socket.write(`51\n${'d'.repeat(51)}`), 'yes\n');
  await assert.rejects(clientFor(['ticket'], [file], oracle).connect(), { code: 'ERR_CHIRP_PROTOCOL' });
  assert.match(oracle.received[0]?.toString('latin1') ?? '', /^[0-9a-f]{32}\n$/);
});

test('something that is not a Chirp server is recognised', { timeout: 20_000 }, async () => {
  await using web = await ScriptedChirp.start(() => undefined, 'HTTP/1.1 400 Bad Request\r\n\r\n');
  await assert.rejects(clientFor(['hostname'], [], web).connect(), {
    code: 'ERR_CHIRP_PROTOCOL',
    message: /Chirp server/,
  });
});

test('nobody there: typed errors with errno names', { timeout: 20_000 }, async () => {
  const closed = await ScriptedChirp.start(() => undefined);
  const { host, port } = closed;
  await closed[Symbol.asyncDispose]();
  await assert.rejects(clientFor(['hostname'], [], { host, port }).connect(), {
    code: 'ECONNREFUSED',
    name: 'ChirpConnectionError',
    retriable: true,
  });
  await assert.rejects(clientFor(['hostname'], [], { host: 'no-such-host.invalid', port }).connect(), {
    code: /ENOTFOUND|EAI_AGAIN/,
  });
  await using silent = await ScriptedChirp.start(() => undefined, '');
  const client = new ChirpClient({ host, port: silent.port, retry: false, connectTimeoutMs: 100 });
  await assert.rejects(client.connect(), { code: 'ETIMEDOUT' });
});
