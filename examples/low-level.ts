/**
 * The pair that libcr itself offers: a process is checkpointed into a file, killed, and brought back.
 *
 *     node examples/low-level.ts        (Node 22.18 or later; with Node 20: node --import tsx examples/low-level.ts)
 */

import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { launchProgram, openProvider, requestCheckpoint, requestRestart } from 'node-blcr';

console.log(openProvider().reasons.at(-1));
const directory = mkdtempSync(join(tmpdir(), 'low-level-'));
const file = join(directory, 'context');

try {
  const script = 'n=0; while [ $n -lt 20 ]; do n=$((n+1)); sleep 0.1; done; exit $n';
  const program = await launchProgram('/bin/sh', { args: ['-c', script] });
  await delay(500);

  const to = openSync(file, 'wx', 0o600);
  const { processes, bytes, stopUs } = await requestCheckpoint({ target: program.target, to });
  closeSync(to);
  console.log(`${processes} processes, ${bytes} bytes, stood still for ${stopUs} µs`);

  program.kill();
  await program.exit;
  console.log('killed');

  const from = openSync(file, 'r');
  const { pid, exit } = await requestRestart({ from });
  closeSync(from);
  console.log(`restarted as ${pid}`);
  const { exitCode } = await exit;
  console.log(`exit code ${exitCode}`);
  process.exitCode = exitCode === 20 ? 0 : 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
