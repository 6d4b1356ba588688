/** The script of docs/batch-systems.md in a real SLURM of one node. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { counted, counting, SKIP } from '../cli/job-bench.ts';
import { SlurmCluster, SlurmUnavailable } from '../support/slurm/cluster.ts';

const page = readFileSync(new URL('../../docs/batch-systems.md', import.meta.url), 'utf8');
const commands = fileURLToPath(new URL('../../bin', import.meta.url));
const STEPS = 30;

test('the script of docs/batch-systems.md in a SLURM', { skip: SKIP, timeout: 110_000 }, async (context) => {
  let started: SlurmCluster;
  try {
    started = await SlurmCluster.start();
  } catch (error) {
    if (error instanceof SlurmUnavailable) return context.skip(error.message);
    throw error;
  }
  await using cluster = started;
  const store = cluster.makeDirectory('store');
  const directory = cluster.makeDirectory('submitted');
  const [, script = ''] = /^```slurm\n(.*?)^```$/ms.exec(page) ?? [];
  const paths = `export PATH=${commands}:${dirname(process.execPath)}:$PATH\n`;
  writeFileSync(
    join(directory, 'job'),
    script.replace('file:///shared/checkpoints', `file://${store}`).replace(/^mkdir/m, `${paths}$&`),
  );
  writeFileSync(join(directory, 'simulate'), `#!/bin/sh\n${counting(STEPS)[2]}\nexit 3\n`, { mode: 0o755 });

  const id = (await cluster.run('sbatch', ['--parsable', 'job'], directory)).trim();
  const output = join(directory, `slurm-${id}.out`);
  const read = (): string => (existsSync(output) ? readFileSync(output, 'utf8') : '');
  while (!read().includes('step 3\n')) await delay(50);
  // What SLURM does before the limit, to the script alone.
  await cluster.run('scancel', ['--batch', '--signal=TERM', id]);
  await cluster.untilJob(id, /JobState=PENDING .*Restarts=1 /s);
  // Instead of the two minutes; not at once, because SLURM refuses to start a job in the second in which it was revoked.
  await cluster.run('scontrol', ['update', `JobId=${id}`, 'StartTime=now+3']);
  const ended = await cluster.untilJob(id, /JobState=(FAILED|COMPLETED|CANCELLED) /);
  assert.match(ended, /ExitCode=3:0/, read());
  const lines = read().split('\n');
  const steps = lines.filter((line) => line.startsWith('step')).map((line) => `${line}\n`);
  assert.equal(steps.join(''), counted(STEPS), 'it went on where it was');
});
