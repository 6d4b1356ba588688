import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { codeName } from '../../lib/chirp/wire/codes.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const CODE = /\b(?:ERR|CR)_[A-Z0-9_]*[A-Z0-9]\b/g;
/** Prefixes and flags of libcr.h that look like codes. */
const NO_CODES =
  /^(ERR_(STORE|JOB|CHIRP|AREA)|CR_(CHKPT|RSTRT|SCOPE|MIN|MAX|DEST|POLL|CHECKPOINT|RESTART|RELEASE|STATE)(_.*)?|CR_E)$/;

function codesOf(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(CODE)].map(([code]) => code).filter((code) => !NO_CODES.test(code)));
}

function sources(directory: string, pattern: RegExp): readonly string[] {
  const names = readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => pattern.test(name)).map((name) => readFileSync(join(root, directory, name), 'utf8'));
}

function libraryCodes(): ReadonlySet<string> {
  return codesOf(
    [...sources('lib', /\.ts$/), ...sources('native/launcher', /\.cc$/), ...sources('native/starter', /\.cc$/)].join(
      '\n',
    ),
  );
}

const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');
const documented = new Set([...page.matchAll(/^\| `([A-Z0-9_]+)` \|/gm)].map(([, code = '']) => code));

test('every code that the library uses is explained in docs/errors.md', () => {
  const missing = [...libraryCodes()].filter((code) => !documented.has(code)).sort();
  assert.deepEqual(missing, []);
});

test('every code of the Chirp protocol is explained', () => {
  const numbers = Array.from({ length: 24 }, (_, index) => -1 - index);
  const missing = [...numbers.map(codeName), codeName(-127)].filter((code) => !documented.has(code));
  assert.deepEqual(missing, []);
});

test('no code is explained that the library does not have', () => {
  const used = libraryCodes();
  const stale = [...documented].filter((code) => /^(ERR|CR)_/.test(code) && !used.has(code)).sort();
  assert.deepEqual(stale, []);
});
