import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { rowsOf, supportedPage } from '../../scripts/supported.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('docs/SUPPORTED.md is what the tests declare', () => {
  const page = readFileSync(join(root, 'docs/SUPPORTED.md'), 'utf8');
  assert.equal(page, supportedPage(root), 'run: node scripts/supported.mjs --write');
});

test('declarations are read however they are laid out', () => {
  const text =
    'const Case a(Supported{"one", "memory", "a thing", "restored"}, f); Supported{"two",\n "tasks", "long "\n  "text", "refused: a, b"}';
  assert.deepEqual(rowsOf(text), [
    { test: 'one', area: 'memory', resource: 'a thing', outcome: 'restored' },
    { test: 'two', area: 'tasks', resource: 'long text', outcome: 'refused: a, b' },
  ]);
});
