import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findViolations, LONG_FILES } from '../../scripts/support/layering.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('the rooms keep to their borders', () => {
  assert.deepEqual(findViolations(root), []);
});

test('every long file has a reason', () => {
  for (const [path, reason] of Object.entries(LONG_FILES)) assert.ok(reason.length > 20, path);
});

const BROKEN: readonly (readonly [what: string, path: string, text: string, expected: RegExp])[] = [
  [
    'chirp importing store',
    'lib/chirp/a.ts',
    "import { x } from '../store/store.ts';\n",
    /"chirp" must not import "store"/,
  ],
  ['store importing job', 'lib/store/a.ts', "export * from '../job/job.ts';\n", /"store" must not import "job"/],
  ['a dynamic import of cli', 'lib/job/a.ts', "await import('../cli/main.ts');\n", /"job" must not import "cli"/],
  ['an unknown room', 'lib/attic/a.ts', '', /"attic" has no place/],
  ['an import from outside', 'lib/util/a.ts', "import '../../test/x.ts';\n", /outside lib/],
  ['a second loader', 'lib/checkpoint/a.ts', "import bindings from 'bindings';\n", /only lib\/native\/load.ts/],
  ['an engine that knows libcr', 'native/engine/dump/a.cc', '#include "libcr.h"\n', /does not know the C ABI/],
  ['an engine that knows Node', 'native/engine/base/a.h', '#include <node_api.h>\n', /does not know Node/],
  ['a long file', 'lib/util/a.ts', '\n'.repeat(251), /251 lines, the limit is 250/],
];

for (const [what, path, text, expected] of BROKEN) {
  test(`${what} is found`, (context) => {
    const directory = mkdtempSync(join(tmpdir(), 'layering-'));
    context.after(() => rmSync(directory, { recursive: true }));
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
    assert.match(findViolations(directory).join('\n'), expected);
  });
}

test('what the architecture allows is allowed', (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'layering-'));
  context.after(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, 'lib/store'), { recursive: true });
  writeFileSync(
    join(directory, 'lib/store/a.ts'),
    "import { ChirpClient } from '../chirp/index.ts';\nimport './b.ts';\n",
  );
  assert.deepEqual(findViolations(directory), []);
});
