import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameSplitter, MAX_PIECE, UNIT_BYTES } from '../../lib/store/frames.ts';
import { contextStream, frame, randomMemory } from './streams.ts';

interface Cut {
  readonly length: number;
  readonly isInline: boolean;
}

/** Feeds the stream in portions of the given sizes, the last one repeated. */
function split(stream: Buffer, portions: readonly number[]): Cut[] {
  const splitter = new FrameSplitter();
  const cuts: Cut[] = [];
  let taken = 0;
  let fed = 0;
  for (let turn = 0; ; turn++) {
    fed = Math.min(stream.length, fed + (portions[Math.min(turn, portions.length - 1)] ?? 1));
    for (;;) {
      const piece = splitter.next(stream.subarray(taken, fed), false);
      if (piece === undefined) break;
      cuts.push(piece);
      taken += piece.length;
    }
    if (fed === stream.length) break;
  }
  for (
    let piece = splitter.next(stream.subarray(taken), true);
    piece;
    piece = splitter.next(stream.subarray(taken), true)
  ) {
    cuts.push(piece);
    taken += piece.length;
  }
  assert.equal(taken, stream.length);
  return cuts;
}

const small = Buffer.concat([...contextStream(randomMemory(200_000))]);

test('the pieces do not depend on how the stream arrives', () => {
  const whole = split(small, [small.length]);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 90_000 }), { minLength: 1, maxLength: 20 }), (portions) => {
      assert.deepEqual(split(small, portions), whole);
    }),
    { numRuns: 50 },
  );
  assert.deepEqual(split(small.subarray(0), [1]), whole);
});

test('a payload is divided at its cut and then every 64 KiB', () => {
  const payload = Buffer.alloc(300_000);
  const stream = Buffer.concat([
    frame('HEAD', Buffer.alloc(32)),
    frame('PAGE', payload, 10_000),
    frame('TRLR', Buffer.alloc(24)),
  ]);
  const lengths = split(stream, [stream.length]).map(({ length }) => length);
  const rest = 300_000 - 10_000 - 4 * UNIT_BYTES;
  assert.deepEqual(lengths, [16, 32, 16, 10_000, UNIT_BYTES, UNIT_BYTES, UNIT_BYTES, UNIT_BYTES, rest, 16, 24]);
});

test('headers and tiny pieces are inline, a whole payload may be one piece', () => {
  const one = frame('META', Buffer.alloc(MAX_PIECE));
  const stream = Buffer.concat([frame('HEAD', Buffer.alloc(32)), one, frame('TRLR', Buffer.alloc(24))]);
  assert.deepEqual(
    split(stream, [stream.length]).map(({ isInline }) => isInline),
    [true, true, true, false, true, true],
  );
});

test('a cut of zero and empty payloads make progress', () => {
  const stream = Buffer.concat([
    frame('HEAD', Buffer.alloc(0)),
    frame('PAGE', Buffer.alloc(70_000), 0),
    frame('TRLR', Buffer.alloc(0)),
  ]);
  assert.deepEqual(
    split(stream, [7]).map(({ length }) => length),
    [16, 16, UNIT_BYTES, 70_000 - UNIT_BYTES, 16],
  );
});

test('a stream of another format is cut every 64 KiB', () => {
  const stream = Buffer.concat([Buffer.from('not a HEAD'), randomMemory(150_000)]);
  assert.deepEqual(
    split(stream, [1000]).map(({ length }) => length),
    [UNIT_BYTES, UNIT_BYTES, 150_010 - 2 * UNIT_BYTES],
  );
  assert.equal(split(Buffer.from('tiny'), [4]).length, 1);
});

const REFUSED: readonly (readonly [what: string, stream: Buffer, why: RegExp])[] = [
  ['nothing', Buffer.alloc(0), /empty/],
  ['an end inside a payload', small.subarray(0, small.length - 10), /inside a frame/],
  ['an end inside a header', small.subarray(0, small.length - 30), /inside a frame header/],
  ['an end before the trailer', small.subarray(0, small.length - 40), /without a trailer/],
  ['data after the trailer', Buffer.concat([small, frame('PAGE', Buffer.alloc(1))]), /follows the trailer/],
  [
    'an impossible length',
    Buffer.concat([small.subarray(0, 48), frame('PAGE', Buffer.alloc(MAX_PIECE + 1))]),
    /exceeds/,
  ],
];
for (const [what, stream, why] of REFUSED) {
  test(`${what} is refused`, () => {
    assert.throws(() => split(stream, [50_000]), { code: 'ERR_STORE_CONTEXT', message: why });
  });
}
