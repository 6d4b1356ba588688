/**
 * Runs the suite of test/blcr in a machine with BLCR's modules.
 *   BLCR_MACHINE=/path/to/run npm run test:blcr
 * $BLCR_MACHINE is a program that runs the shell command it is given as root inside such a machine, with the directory $SHARE visible there as
 * /share, and that gives back the command's output and exit status. docs/genuine-blcr.md says what the machine must have.
 * $BLCR_EXPECT: the kind of libcr that must be found, `blcr` (default) or `userspace`.
 * $BLCR_SUITE: only these parts of the suite (conformance, requests, refusals, jobs), separated by commas.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stageSuite, suiteCommand } from './support/blcr-suite.ts';

const machine = process.env['BLCR_MACHINE'];
if (machine === undefined || machine === '') {
  process.stderr.write(
    'BLCR_MACHINE must name a program that runs a command inside a machine with BLCR: see docs/genuine-blcr.md\n',
  );
  process.exit(64);
}
const expect = process.env['BLCR_EXPECT'] === 'userspace' ? 'userspace' : 'blcr';
const root = resolve(fileURLToPath(new URL('..', import.meta.url)));
for (const part of ['dist/index.js', 'build/Release/node_blcr.node']) {
  if (existsSync(join(root, part))) continue;
  process.stderr.write(`${part} is missing: build the project first (./scripts/setup)\n`);
  process.exit(69);
}
const share = mkdtempSync(join(tmpdir(), 'blcr-share-'));
try {
  chmodSync(share, 0o755); // whatever user the machine is run as
  await stageSuite(root, share);
  const { status, error } = spawnSync(resolve(machine), [suiteCommand(expect, undefined, process.env['BLCR_SUITE'])], {
    stdio: 'inherit',
    env: { ...process.env, SHARE: share },
  });
  if (error !== undefined) throw error;
  process.exitCode = status ?? 1;
} finally {
  rmSync(share, { recursive: true, force: true });
}
