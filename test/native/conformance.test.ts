/** Our libcr and the scripted one against the contract; genuine BLCR is asked in its machine (test/blcr/conformance.ts). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Conformance, GENUINE } from './conformance.ts';
import { buildScriptedLibrary } from './scripted.ts';

const LIMITS = { timeout: 90_000 };
const packageFile = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'blcr-conformance-'));
let suite: Conformance;

before(() => {
  suite = new Conformance(directory, packageFile('test/native/conformance.c'), packageFile('native/include'), 60_000);
});
after(() => rmSync(directory, { recursive: true }));

test('our libcr', LIMITS, () => {
  suite.check(packageFile('build/native/libcr.so.0'), {}, packageFile('build/native/cr_run'));
});

test('the scripted libcr', LIMITS, () => {
  suite.check(buildScriptedLibrary(), GENUINE);
});
