/** A store as one file, and back. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { packDirectory, unpackDirectory } from '../../lib/store/archive.ts';

function place(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'store-archive-'));
  context.after(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, 'from/job/run'), { recursive: true });
  writeFileSync(join(directory, 'from/job/run/pack'), Buffer.alloc(3_000_000, 7));
  writeFileSync(join(directory, 'from/job/run/empty'), '');
  writeFileSync(join(directory, 'from/lines'), 'one\nend\n');
  return directory;
}

test('there and back', async (context) => {
  const directory = place(context);
  const at = (name: string): string => join(directory, name);
  await packDirectory(at('from'), at('archive'));
  await unpackDirectory(at('archive'), at('to'));
  for (const name of ['job/run/pack', 'job/run/empty', 'lines'])
    assert.ok(readFileSync(at(`to/${name}`)).equals(readFileSync(at(`from/${name}`))), name);
});

test('cut anywhere, or with names that lead elsewhere: refused, nothing is there', async (context) => {
  const directory = place(context);
  const at = (name: string): string => join(directory, name);
  await packDirectory(at('from'), at('archive'));
  const whole = readFileSync(at('archive'));
  const texts = ['', 'blcr-archive 2\nend\n', 'blcr-archive 1\n3 ../x\nabcend\n', 'blcr-archive 1\nx y\nend\n'];
  const cuts = [5, 20, 1_000_000, whole.length - 1].map((length) => whole.subarray(0, length));
  for (const content of [...texts, ...cuts]) {
    writeFileSync(at('damaged'), content);
    await assert.rejects(unpackDirectory(at('damaged'), at('to')), { code: 'ERR_STORE_CORRUPT' });
    assert.equal(existsSync(at('to')), false);
  }
});
