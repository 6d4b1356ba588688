import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { codeName, resultError } from '../../lib/chirp/wire/codes.ts';
import { plainWord, requestLine } from '../../lib/chirp/wire/line.ts';
import { encodePath, parentOf } from '../../lib/chirp/wire/path.ts';
import { ReplyReader } from '../../lib/chirp/wire/reader.ts';
import { parseStat, parseStatfs } from '../../lib/chirp/wire/records.ts';

const RULES = { allowReserved: false };

function decode(encoded: string): Buffer {
  const latin1 = encoded.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(latin1, 'latin1');
}

test('every byte but NUL survives path encoding, as one word of printable ASCII', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (bytes) => {
      const path = bytes.map((byte) => byte || 0x2f);
      const encoded = encodePath(path, { allowReserved: true });
      assert.match(encoded, /^[\x21-\x7e]+$/);
      assert.deepEqual(decode(encoded), Buffer.from(path));
    }),
  );
  assert.equal(encodePath('/é %\n', RULES), '/%C3%A9%20%25%0A');
});

test('names the protocol cannot carry are refused by name', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['', 'ERR_CHIRP_INVALID_NAME'],
    ['/a\0b', 'ERR_CHIRP_INVALID_NAME'],
    [`/${'x'.repeat(256)}`, 'ERR_CHIRP_NAME_TOO_LONG'],
    [`/${'é'.repeat(128)}`, 'ERR_CHIRP_NAME_TOO_LONG'],
    ['/x'.repeat(512), 'ERR_CHIRP_NAME_TOO_LONG'],
    ['/d/.__acl', 'ERR_CHIRP_RESERVED_NAME'],
    ['.__x/y', 'ERR_CHIRP_RESERVED_NAME'],
  ];
  for (const [path, code] of cases) assert.throws(() => encodePath(path, RULES), { code });
  assert.equal(encodePath(`/${'x'.repeat(255)}`, RULES).length, 256);
  assert.equal(encodePath('/.__acl', { allowReserved: true }), '/.__acl');
});

test('request lines have at most 1023 bytes, integers, and no smuggled words', () => {
  assert.equal(requestLine('stat', 'x'.repeat(1018)).length, 1024);
  assert.throws(() => requestLine('stat', 'x'.repeat(1019)), { code: 'ERR_CHIRP_LINE_TOO_LONG' });
  assert.throws(() => requestLine('pread', 1.5), { code: 'ERR_USAGE' });
  assert.throws(() => requestLine('pread', Number.NaN), { code: 'ERR_USAGE' });
  for (const word of ['', 'a b', 'a\nmkdir', 'a\0', 'a\tb']) {
    assert.throws(() => plainWord('subject', word), { code: 'ERR_CHIRP_INVALID_NAME' });
  }
});

test('the parent of a path', () => {
  for (const [path, parent] of [
    ['/a/b', '/a'],
    ['/a', '/'],
    ['a', '/'],
    ['/a/b//', '/a'],
    ['/', '/'],
  ] as const) {
    assert.equal(parentOf(path).toString(), parent);
  }
});

test('records are read strictly', () => {
  const stat = parseStat(Buffer.from('65024 18446744073709551615 33188 1 0 0 0 5 4096 8 1 2 3'));
  assert.equal(stat.ino, 2n ** 64n - 1n);
  assert.equal(stat.type, 'file');
  assert.equal(stat.size, 5);
  assert.deepEqual([stat.atime, stat.mtime, stat.ctime], [1, 2, 3]);
  assert.equal(parseStat(Buffer.from('1 2 16877 1 0 0 0 5 4096 8 1 2 3')).type, 'directory');
  assert.equal(parseStat(Buffer.from('1 2 41471 1 0 0 0 5 4096 8 1 2 3')).type, 'symlink');
  for (const line of ['', '1 2 3', '1 2 3 4 5 6 7 8 9 10 11 12 x', '1 2 3 4 5 6 7 8 9 10 11 12 13 14']) {
    assert.throws(() => parseStat(Buffer.from(line)), { code: 'ERR_CHIRP_PROTOCOL' });
  }
  const statfs = parseStatfs(Buffer.from('16914836 4096 2048 2046 2045 18446744073709551615 7'));
  assert.equal(statfs.bavail, 2045);
  assert.equal(statfs.ffree, 7);
  assert.throws(() => parseStatfs(Buffer.from('1 2 3 4 5 6')), { code: 'ERR_CHIRP_PROTOCOL' });
});

test('wire numbers become codes, and only passing failures are retriable', () => {
  assert.equal(codeName(-2), 'CHIRP_NOT_AUTHORIZED');
  assert.equal(codeName(-24), 'CHIRP_NAME_TOO_LONG');
  assert.equal(codeName(-99), 'CHIRP_UNKNOWN');
  const error = resultError('stat', -3, '/x');
  assert.deepEqual([error.code, error.result, error.command, error.path], ['CHIRP_DOES_NOT_EXIST', -3, 'stat', '/x']);
  assert.equal(error.retriable, false);
  assert.equal(resultError('stat', -10).retriable, true);
});

test('the reader gives the same lines and bytes for every cutting', () => {
  const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 30 });
  fc.assert(
    fc.property(pieces, (chunks) => {
      const whole = Buffer.concat(chunks);
      const reader = new ReplyReader();
      const lines: Buffer[] = [];
      for (const chunk of chunks) {
        // The memory is used again after each push, as the socket's is.
        const shared = Buffer.from(chunk);
        reader.push(shared);
        for (let line = reader.takeLine(5000); line !== undefined; line = reader.takeLine(5000)) lines.push(line);
        reader.detach();
        shared.fill(0xee);
      }
      const rest = reader.takeSome(reader.size) ?? Buffer.alloc(0);
      let tail = rest;
      for (let more = reader.takeSome(5000); more !== undefined; more = reader.takeSome(5000))
        tail = Buffer.concat([tail, more]);
      const expected = whole.toString('latin1').split('\n');
      assert.deepEqual(
        lines.map((line) => line.toString('latin1')),
        expected.slice(0, -1),
      );
      assert.equal(tail.toString('latin1'), expected.at(-1));
    }),
  );
});

test('a line that does not end is refused before it is buffered', () => {
  const reader = new ReplyReader();
  for (let i = 0; i < 100; i += 1) {
    reader.push(Buffer.from('x'));
    assert.equal(reader.takeLine(100), undefined);
  }
  reader.push(Buffer.from('x'));
  assert.throws(() => reader.takeLine(100), { code: 'ERR_CHIRP_PROTOCOL' });
  const exact = new ReplyReader();
  exact.push(Buffer.from(`${'y'.repeat(100)}\n`));
  assert.equal(exact.takeLine(100)?.length, 100);
});
