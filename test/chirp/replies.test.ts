import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as acl from '../../lib/chirp/commands/acl.ts';
import * as attributes from '../../lib/chirp/commands/attributes.ts';
import type { Command } from '../../lib/chirp/commands/command.ts';
import * as directories from '../../lib/chirp/commands/directories.ts';
import * as file from '../../lib/chirp/commands/file.ts';
import { whoami } from '../../lib/chirp/commands/identity.ts';
import * as names from '../../lib/chirp/commands/names.ts';
import * as tickets from '../../lib/chirp/commands/tickets.ts';
import { getfile } from '../../lib/chirp/commands/transfer.ts';
import * as xattr from '../../lib/chirp/commands/xattr.ts';
import { Exchange, type Wire } from '../../lib/chirp/exchange.ts';
import { BufferSink } from '../../lib/chirp/transfer/sink.ts';
import { ReplyReader } from '../../lib/chirp/wire/reader.ts';

const RULES = { allowReserved: false };
const STAT = '65024 2154864 33188 1 1000 1000 0 9 4096 8 1795384479 1795384481 1795384483';
const TICKET = 'ticket:900150983cd24fb0d6963f7d28e17f72';

/** Feeds the pieces one by one as the socket would, with memory that is used again, and gives the outcome. */
async function converse<T>(
  command: Command<T>,
  pieces: readonly Buffer[],
): Promise<{ value?: T; error?: unknown; left: number }> {
  const exchange = new Exchange(command);
  const reader = new ReplyReader();
  let failure: unknown;
  let isDone = false;
  const advance = (): void => {
    try {
      if (!isDone && exchange.advance(wire) === 'done') isDone = true;
    } catch (error) {
      failure ??= error;
    }
  };
  const wire: Wire = {
    reader,
    send: () => assert.fail('a reply sends nothing'),
    upload: () => assert.fail('a reply uploads nothing'),
    resume: advance,
    fail: (error) => {
      failure ??= error;
    },
  };
  for (const piece of pieces) {
    const shared = Buffer.from(piece);
    reader.push(shared);
    advance();
    reader.detach();
    shared.fill(0xee);
    await undefined;
  }
  // Back-pressure of sinks resolves in microtasks.
  for (let i = 0; i < 8; i += 1) await undefined;
  if (failure !== undefined) {
    exchange.kill(failure);
    exchange.promise.catch(() => undefined);
    return { error: failure, left: reader.size };
  }
  if (!isDone) {
    exchange.kill(new Error('unfinished'));
    exchange.promise.catch(() => undefined);
    return { error: 'unfinished', left: reader.size };
  }
  return { value: await exchange.promise, left: reader.size };
}

/** The listing commands expect the answers to their random probes behind the listing. */
function probes(command: Command<unknown>): string {
  const lengths = [...command.line.toString().matchAll(/^whoami (\d)$/gm)].map((match) => Number(match[1]));
  return lengths.map((length) => `${length}\n${'hostname'.slice(0, length)}`).join('');
}

const target = Buffer.alloc(8);
let got: Buffer = Buffer.alloc(0);
const getdir = directories.getdir('/', RULES);
const getlongdir = directories.getlongdir('/', RULES);
const refused = directories.getdir('/', RULES);
const download = (): Command<number> =>
  getfile(
    '/f',
    (size) => {
      got = Buffer.alloc(size);
      return new BufferSink(got);
    },
    true,
    RULES,
  );

/** Replies as servers have sent them, with what they mean. */
const RECORDED: readonly {
  readonly command: () => Command<unknown>;
  readonly bytes: string;
  readonly check: (value: unknown) => void;
}[] = [
  {
    command: () => attributes.stat('/f', RULES),
    bytes: `0\n${STAT}\n`,
    check: (v) => assert.equal((v as { size: number }).size, 9),
  },
  { command: () => attributes.statIfExists('/f', RULES), bytes: '-3\n', check: (v) => assert.equal(v, undefined) },
  { command: () => attributes.chmod('/f', 420, RULES), bytes: '0\n', check: (v) => assert.equal(v, undefined) },
  {
    command: () => attributes.md5('/f', RULES),
    bytes: '16\n0123456789\n\n\n\n\n\n',
    check: (v) => assert.equal((v as Buffer).length, 16),
  },
  { command: () => directories.rmall('/f', RULES), bytes: '-3\n', check: (v) => assert.equal(v, undefined) },
  { command: () => names.readlink('/l', RULES), bytes: '5\na\nb 0', check: (v) => assert.equal(v, 'a\nb 0') },
  { command: () => whoami(), bytes: '18\nhostname:localhost', check: (v) => assert.equal(v, 'hostname:localhost') },
  { command: () => file.pread(0, target, 0, '/f'), bytes: '5\n-3\n0\n', check: (v) => assert.equal(v, 5) },
  { command: () => file.pread(0, target, 9, '/f'), bytes: '0\n', check: (v) => assert.equal(v, 0) },
  {
    command: () => file.open('/f', 'r', 0, RULES),
    bytes: `7\n${STAT}\n`,
    check: (v) => assert.equal((v as { fd: number }).fd, 7),
  },
  { command: download, bytes: '9\n-3\n0\n12\n\n', check: () => assert.equal(got.toString(), '-3\n0\n12\n\n') },
  { command: download, bytes: '0\n', check: () => assert.equal(got.length, 0) },
  {
    command: () => acl.getacl('/', RULES),
    bytes: '0\nhostname:localhost rwldpa\nunix:* rl\n\n',
    check: (v) =>
      assert.deepEqual(
        (v as { subject: string }[]).map((e) => e.subject),
        ['hostname:localhost', 'unix:*'],
      ),
  },
  {
    command: () => xattr.listxattr('/', RULES),
    bytes: '14\nuser.a\0user.b\0',
    check: (v) => assert.deepEqual(v, ['user.a', 'user.b']),
  },
  {
    command: () => tickets.ticketList('self'),
    bytes: `0\n39\n${TICKET}39\n${TICKET}0\n`,
    check: (v) => assert.deepEqual(v, [TICKET, TICKET]),
  },
  {
    command: () => tickets.ticketGet(TICKET),
    bytes: '0\n9\nunix:root3\nPEM600\n/ n\n/a b rl\n0\n',
    check: (v) => {
      const info = v as { rights: unknown; secondsLeft: number };
      assert.equal(info.secondsLeft, 600);
      assert.deepEqual(info.rights, [
        { path: '/', rights: 'n' },
        { path: '/a b', rights: 'rl' },
      ]);
    },
  },
  {
    command: () => getdir,
    bytes: `0\n.\n..\na\nb c\n\n${probes(getdir)}`,
    check: (v) => assert.deepEqual(v, ['a', 'b c']),
  },
  {
    command: () => getlongdir,
    bytes: `0\n.\n${STAT}\na\n\n0\nb\n${STAT}\n..\n${STAT}\n\n${probes(getlongdir)}`,
    check: (v) =>
      assert.deepEqual(
        (v as { name: string }[]).map((e) => e.name),
        ['a\n\n0\nb'],
      ),
  },
];

test('recorded replies mean the same, cut at every position, and take exactly their bytes', async () => {
  for (const { command, bytes, check } of RECORDED) {
    const whole = Buffer.from(`${bytes}NEXT`);
    for (let cut = 0; cut <= whole.length; cut += 1) {
      const { value, error, left } = await converse(command(), [whole.subarray(0, cut), whole.subarray(cut)]);
      assert.equal(error, undefined, `${command().name} cut at ${cut}`);
      assert.equal(left, 4, `${command().name} cut at ${cut}`);
      check(value);
    }
    const single = await converse(
      command(),
      [...whole].map((byte) => Buffer.from([byte])),
    );
    assert.equal(single.error, undefined, `${command().name} byte by byte`);
    check(single.value);
  }
});

test('a refused listing takes its probes along and reports the refusal', async () => {
  const { error, left } = await converse(refused, [Buffer.from(`-2\n${probes(refused)}NEXT`)]);
  assert.equal((error as { code: string }).code, 'CHIRP_NOT_AUTHORIZED');
  assert.equal(left, 4);
});

test('a shortened reply is never taken for a whole one', async () => {
  for (const { command, bytes } of RECORDED) {
    for (let length = 0; length < bytes.length; length += 1) {
      const { error } = await converse(command(), [Buffer.from(bytes.slice(0, length))]);
      assert.equal(error, 'unfinished', `${command().name} after ${length} of ${bytes.length} bytes`);
    }
  }
});

test('any bytes lead to a result, a typed error, or to waiting for more, in bounded memory', async () => {
  const line = fc.oneof(
    fc.integer({ min: -200, max: 200 }).map(String),
    fc.constantFrom(STAT, '', '-127', '0', '16', '99999999999999999', 'yes', '1e3', '+1', '0x10', ' 5 '),
    fc.string({ maxLength: 60 }),
  );
  const reply = fc.array(line, { maxLength: 12 }).map((lines) => Buffer.from(`${lines.join('\n')}\n`));
  const index = fc.nat(RECORDED.length - 1);
  await fc.assert(
    fc.asyncProperty(index, reply, fc.nat(100), async (which, bytes, cut) => {
      const command = (RECORDED[which] ?? assert.fail()).command();
      const { error } = await converse(command, [bytes.subarray(0, cut), bytes.subarray(cut)]);
      const code = (error as { code?: string } | undefined)?.code;
      if (error !== undefined && error !== 'unfinished') assert.match(String(code), /^(CHIRP_|ERR_CHIRP_PROTOCOL)/);
    }),
    { numRuns: 1500 },
  );
});

test('announced lengths beyond what was asked for are refused before anything is allocated', async () => {
  const cases: readonly (readonly [Command<unknown>, string])[] = [
    [file.pread(0, target, 0, '/f'), '9\n'],
    [whoami(), '1000000\n'],
    [xattr.getxattr('/', 'user.a', RULES), '99999999999\n'],
    [names.readlink('/', RULES), '5000\n'],
    [attributes.md5('/', RULES), '17\n'],
    [attributes.chmod('/', 1, RULES), '5\n'],
  ];
  for (const [command, bytes] of cases) {
    const { error } = await converse(command, [Buffer.from(bytes)]);
    assert.equal((error as { code: string }).code, 'ERR_CHIRP_PROTOCOL', command.name);
  }
});
