/** Every request against a real server. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ChirpClient } from '../../lib/chirp/index.ts';
import { ChirpServer, hasChirpServer } from '../support/chirp-server.ts';

const skip = hasChirpServer() ? false : 'chirp_server is not installed (coop-computing-tools)';
const options = { skip, timeout: 20_000 };
let server: ChirpServer;
let client: ChirpClient;

before(async () => {
  if (skip !== false) return;
  server = await ChirpServer.start();
  client = new ChirpClient({ host: server.host, port: server.port, auth: ['hostname'] });
});
after(async () => {
  await client?.close();
  await server?.stop();
});

async function code(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'no error';
}

test('identity', options, async () => {
  assert.equal(client.isConnected, false);
  assert.deepEqual(await client.connect(), { method: 'hostname', name: 'localhost' });
  assert.equal(client.isConnected, true);
  assert.deepEqual(client.identity, { method: 'hostname', name: 'localhost' });
  assert.equal(await client.whoami(), 'hostname:localhost');
});

test('attributes of files', options, async () => {
  await client.putFile('/attributes', 'hello', { mode: 0o644 });
  const onDisk = join(server.root, 'attributes');
  const stat = await client.stat('/attributes');
  assert.deepEqual([stat.type, stat.size, stat.ino], ['file', 5, statSync(onDisk, { bigint: true }).ino]);
  await client.chmod('/attributes', 0o640);
  assert.equal((await client.stat('/attributes')).mode & 0o777, 0o640);
  await client.utime('/attributes', 1000.7, 2000);
  assert.deepEqual([(await client.stat('/attributes')).atime, (await client.stat('/attributes')).mtime], [1000, 2000]);
  await client.truncate('/attributes', 3);
  assert.equal(readFileSync(onDisk, 'utf8'), 'hel');
  await client.access('/attributes');
  await client.access('/attributes', 4);
  assert.equal(await client.statIfExists('/nothing'), undefined);
  assert.equal(await code(client.stat('/nothing')), 'CHIRP_DOES_NOT_EXIST');
  assert.equal(await code(client.access('/nothing')), 'CHIRP_DOES_NOT_EXIST');
  assert.equal((await client.md5('/attributes')).toString('hex'), createHash('md5').update('hel').digest('hex'));
  assert.equal(
    (await client.hash('sha1', '/attributes')).toString('hex'),
    createHash('sha1').update('hel').digest('hex'),
  );
  assert.equal(await code(client.hash('sha256', '/attributes')), 'CHIRP_INVALID_REQUEST');
  assert.equal(await code(client.md5('/')), 'CHIRP_IS_DIRECTORY');
});

test('names', options, async () => {
  await client.putFile('/names-a', 'a');
  await client.putFile('/names-b', 'b');
  await client.rename('/names-a', '/names-b');
  assert.equal((await client.getBuffer('/names-b')).toString(), 'a');
  await client.link('/names-b', '/names-hard');
  assert.equal((await client.stat('/names-hard')).nlink, 2);
  await client.symlink('names-b', '/names-soft');
  await client.symlink('täg%20t', '/names-odd');
  assert.equal(await client.readlink('/names-soft'), 'names-b');
  assert.equal(await client.readlink('/names-odd'), 'täg%20t');
  assert.equal((await client.lstat('/names-soft')).type, 'symlink');
  assert.equal((await client.stat('/names-soft')).type, 'file');
  assert.equal(await code(client.readlink('/names-b')), 'CHIRP_INVALID_REQUEST');
  assert.equal(await code(client.symlink('a b', '/x')), 'ERR_CHIRP_INVALID_NAME');
  await client.unlink('/names-soft');
  assert.equal(await code(client.unlink('/names-soft')), 'CHIRP_DOES_NOT_EXIST');
  assert.equal(await code(client.rename('/names-nothing', '/x')), 'CHIRP_DOES_NOT_EXIST');
});

test('directories', options, async () => {
  await client.mkdir('/dir');
  assert.equal(await code(client.mkdir('/dir')), 'CHIRP_ALREADY_EXISTS');
  await client.mkdirp('/dir/a/b/c/');
  await client.mkdirp('/dir/a/b/c');
  assert.equal((await client.stat('/dir/a/b/c')).type, 'directory');
  await client.putFile('/dir/file', 'x');
  assert.equal(await code(client.mkdirp('/dir/file/x')), 'CHIRP_NOT_DIRECTORY');
  await Promise.all([client.mkdirp('/dir/r/s/t'), client.mkdirp('/dir/r/s/t'), client.mkdirp('/dir/r/s/u')]);
  assert.deepEqual((await client.getdir('/dir')).sort(), ['a', 'file', 'r']);
  const entries = (await client.getlongdir('/dir')).map(({ name, stat }) => `${name} ${stat.type}`);
  assert.deepEqual(entries.sort(), ['a directory', 'file file', 'r directory']);
  assert.equal(await code(client.rmdir('/dir')), 'CHIRP_NOT_EMPTY');
  await client.rmall('/dir');
  await client.rmall('/dir');
  assert.equal(await client.statIfExists('/dir'), undefined);
  await client.mkdir('/dir');
  await client.rmdir('/dir');
  assert.equal(await code(client.getdir('/dir')), 'CHIRP_DOES_NOT_EXIST');
  assert.equal(await client.whoami(), 'hostname:localhost', 'in step after a refused listing');
  const space = await client.statfs('/');
  assert.ok(space.bsize > 0 && space.blocks >= space.bavail);
});

test('odd names', options, async () => {
  await client.mkdir('/odd');
  const names = [
    'ü 中',
    '100%',
    ' leading',
    'line\nfeed',
    'a\n\n0\nb',
    '.hidden',
    '+',
    '-',
    '\x01\x7f',
    'x'.repeat(255),
  ];
  for (const name of names) await client.putFile(`/odd/${name}`, name);
  for (const name of names) assert.equal((await client.getBuffer(`/odd/${name}`)).toString(), name);
  assert.deepEqual((await client.getlongdir('/odd')).map((entry) => entry.name).sort(), [...names].sort());
  assert.ok((await client.getdir('/odd')).includes('ü 中'));
  const bytes = Buffer.from([0x2f, 0x6f, 0x64, 0x64, 0x2f, 0xff, 0xfe]);
  await client.putFile(bytes, 'raw');
  const raw = (await client.getlongdir('/odd')).find((entry) => entry.nameBytes.equals(bytes.subarray(5)));
  assert.equal(raw?.stat.size, 3);
});

test('a name made to forge replies does not get a listing out of step', options, async () => {
  await client.mkdir('/forged');
  const forged = 'a\n\n0\n1 2 33188 1 0 0 0 666 4096 8 1 2 3';
  writeFileSync(join(server.root, 'forged', forged), '');
  const [names, long, stat] = await Promise.all([
    client.getdir('/forged'),
    client.getlongdir('/forged'),
    client.stat('/'),
  ]);
  assert.ok(names.includes('a'));
  assert.deepEqual(
    long.map((entry) => [entry.name, entry.stat.size]),
    [[forged, 0]],
  );
  assert.equal(stat.type, 'directory');
  assert.equal(await client.whoami(), 'hostname:localhost');
});

test('files at offsets', options, async () => {
  await using file = await client.open('/offsets', 'rwcx');
  await file.pwrite(Buffer.from('0123456789'), 0);
  await file.pwrite(Buffer.from('AB'), 4);
  assert.equal((await file.pread(100, 0)).toString(), '0123AB6789');
  assert.equal((await file.pread(3, 8)).toString(), '89');
  assert.equal((await file.pread(3, 100)).length, 0);
  await file.truncate(6);
  await file.sync();
  await file.chmod(0o600);
  assert.equal((await file.stat()).size, 6);
  assert.equal(await code(client.open('/offsets', 'wcx')), 'CHIRP_ALREADY_EXISTS');
  assert.equal(await code(client.open('/offsets', 'z')), 'ERR_USAGE');
  await using append = await client.open('/offsets', 'wa');
  await append.pwrite(Buffer.from('!'), 0);
  assert.equal(readFileSync(join(server.root, 'offsets'), 'utf8'), '0123AB!');
  await using readOnly = await client.open('/offsets', 'r');
  assert.equal(await code(readOnly.pwrite(Buffer.from('x'), 0)), 'CHIRP_BAD_FD');
  assert.equal((await readOnly.stat()).size, 7, 'in step after a refused body');
  await readOnly.close();
  assert.equal(await code(readOnly.stat()), 'ERR_CHIRP_FILE_CLOSED');
});

test('blocks beyond the limit of one request', options, async () => {
  const data = Buffer.allocUnsafe(33 * 1024 * 1024).fill('0123456789abcdef');
  await using file = await client.open('/blocks', 'rwct');
  await file.pwrite(data, 1);
  assert.ok((await file.pread(data.length, 1)).equals(data));
});

test('access control lists', options, async () => {
  await client.mkdir('/acl');
  await client.acl.set('/acl', 'unix:somebody*', 'rl');
  assert.ok((await client.acl.get('/acl')).some((e) => e.subject === 'unix:somebody*' && e.rights === 'rl'));
  await client.acl.reset('/acl', 'rwlda');
  assert.deepEqual(
    (await client.acl.get('/acl')).map((e) => e.subject),
    ['hostname:localhost'],
  );
  await client.mkdir('/acl/closed');
  await client.acl.set('/acl/closed', 'hostname:localhost', 'l');
  assert.equal(await code(client.putFile('/acl/closed/x', 'x')), 'CHIRP_NOT_AUTHORIZED');
  assert.equal(await code(client.acl.set('/acl/closed', 'hostname:localhost', 'rwlda')), 'CHIRP_NOT_AUTHORIZED');
  assert.equal(await code(client.acl.set('/acl', 'a b', 'r')), 'ERR_CHIRP_INVALID_NAME');
  assert.equal(await code(client.acl.set('/acl', 'unix:x', 'r q')), 'ERR_USAGE');
});

test("the server's own files are out of reach unless asked for", options, async () => {
  assert.equal(await code(client.unlink('/.__acl')), 'ERR_CHIRP_RESERVED_NAME');
  await using open = new ChirpClient({ host: server.host, port: server.port, auth: ['hostname'], allowReserved: true });
  assert.match((await open.getBuffer('/.__acl')).toString(), /hostname:localhost/);
});

test('extended attributes', options, async (context) => {
  await client.putFile('/xattr', 'x');
  const first = await code(client.xattr.set('/xattr', 'user.a', Buffer.from('value\n\0')));
  if (first === 'CHIRP_NOT_SUPPORTED') return context.skip('the file system has no extended attributes');
  assert.equal(first, 'no error');
  assert.deepEqual(await client.xattr.list('/xattr'), ['user.a']);
  assert.equal((await client.xattr.get('/xattr', 'user.a')).toString(), 'value\n\0');
  await client.xattr.remove('/xattr', 'user.a');
  assert.equal(await code(client.xattr.get('/xattr', 'user.a')), 'CHIRP_UNKNOWN');
  assert.equal(await code(client.xattr.set('/missing', 'user.a', Buffer.from('stat /\n'))), 'CHIRP_DOES_NOT_EXIST');
  assert.equal(await client.whoami(), 'hostname:localhost', 'in step after a refused value');
});

test('the longest request line passes, one byte more is refused here', options, async () => {
  // `stat` + blank leave 1018 bytes, each escaped one costs three.
  const fits = `/${'%'.repeat(200)}/${'%'.repeat(138)}`;
  assert.equal(await code(client.stat(`${fits}aa`)), 'CHIRP_DOES_NOT_EXIST');
  assert.equal(await code(client.stat(`${fits}aaa`)), 'ERR_CHIRP_LINE_TOO_LONG');
  assert.equal(await client.whoami(), 'hostname:localhost');
});

test('links that leave the root stay in it, loops are errors', options, async () => {
  symlinkSync('loop', join(server.root, 'loop'));
  assert.equal(await code(client.stat('/loop')), 'CHIRP_UNKNOWN');
  assert.equal(await code(client.getBuffer('/../../etc/passwd')), 'CHIRP_DOES_NOT_EXIST');
});

test('many requests at once are answered in order', options, async () => {
  const calls = Array.from({ length: 300 }, (_, i) =>
    i % 3 === 0
      ? client.whoami()
      : client.access(i % 3 === 1 ? '/' : '/nope').then(
          () => 'ok',
          (e: { code: string }) => e.code,
        ),
  );
  const answers = await Promise.all(calls);
  answers.forEach((answer, i) => {
    assert.equal(answer, ['hostname:localhost', 'ok', 'CHIRP_DOES_NOT_EXIST'][i % 3]);
  });
});
