/** Which directories of the past lead to the scratch directory of now. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { placesOf, planRelocation } from '../../lib/job/places.ts';
import type { CheckpointRecord } from '../../lib/store/types.ts';

const record = (scratch: string, ...earlierScratch: string[]): CheckpointRecord => ({
  identity: { argv: [], executable: '', inputs: {} },
  provider: 'userspace',
  host: 'host',
  scratch,
  earlierScratch,
  cwd: scratch,
  reason: 'periodic',
  runtimeMs: 0,
});

test('the first directory and the latest are remembered, each once', () => {
  assert.deepEqual(placesOf(record('/b', '/a')), ['/a', '/b']);
  assert.deepEqual(placesOf(record('/a', '/a', '/b')), ['/b', '/a']);
  const many = Array.from({ length: 40 }, (_, index) => `/run/${index}`);
  const places = placesOf(record('/now', ...many));
  assert.equal(places.length, 16);
  assert.equal(places[0], '/run/0');
  assert.equal(places.at(-1), '/now');
});

test('every earlier directory but the one of now is relocated and bound', async () => {
  const { relocate, binds } = await planRelocation(['/a', '/b', '/c'], '/b', '/nonexistent');
  assert.deepEqual(relocate, [
    ['/a', '/b'],
    ['/c', '/b'],
  ]);
  assert.deepEqual(binds, relocate);
});

test('sandboxes of HTCondor get mount points that nobody else removes', async (context) => {
  const own = mkdtempSync(join(tmpdir(), 'places-'));
  context.after(() => rmSync(own, { recursive: true }));
  const root = '/pool/execute/dir_9';
  const { relocate, binds } = await planRelocation(['/pool/execute/dir_1', '/other/dir_2/scratch', root], root, own);
  assert.deepEqual(relocate, [
    ['/pool/execute/dir_1', root],
    ['/other/dir_2/scratch', root],
  ]);
  assert.deepEqual(binds, [
    ['/pool/execute', join(own, 'sandboxes-0')],
    [root, root],
    ['/other', join(own, 'sandboxes-1')],
    ...relocate,
  ]);
  for (const made of ['sandboxes-0/dir_1', 'sandboxes-0/dir_9', 'sandboxes-1/dir_2/scratch'])
    assert.equal(existsSync(join(own, made)), true, made);
});
