/**
 * The main path in a real pool, with the single executable and the classic arguments: checkpoints into a Chirp server, evicted, resumed on the
 * other node, killed, resumed, finished.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildSingle, NO_BUILD } from '../wrapper/single.ts';
import { CondorBench } from './bench.ts';

const STEPS = 100;
const INPUT = 'line one\nline two\n';

/** Writes to both streams, to files by relative and by absolute path, and through a descriptor that stays open. */
const PROGRAM = `#!/bin/sh
here=$PWD
mkdir results
exec 3>>"$here/results/open"
i=0
while [ $i -lt ${STEPS} ]; do
  echo "step $i"
  [ $((i % 10)) -ne 0 ] || echo "note $i" >&2
  echo "$i" >"$here/state"
  echo "$i $(wc -l <input)" >>results/log
  echo "$i" >&3
  i=$((i + 1))
  sleep 0.1
done
tar cf results.tar results
exit 3
`;

interface Outputs {
  readonly out: string;
  readonly err: string;
  readonly state: string;
  readonly log: string;
  readonly open: string;
}

const readOutputs = (directory: string): Outputs => {
  const member = (name: string): string =>
    execFileSync('tar', ['xOf', join(directory, 'results.tar'), `results/${name}`], { encoding: 'utf8' });
  const file = (name: string): string => readFileSync(join(directory, name), 'utf8');
  return { out: file('out'), err: file('err'), state: file('state'), log: member('log'), open: member('open') };
};

/** What an uninterrupted run leaves. */
function runAlone(): Outputs {
  const directory = mkdtempSync(join(tmpdir(), 'condor-reference-'));
  try {
    writeFileSync(join(directory, 'input'), INPUT);
    const script = PROGRAM.replace('sleep 0.1', ':');
    const command = `(${script.replace('#!/bin/sh', '')}) >out 2>err || true`;
    execFileSync('/bin/sh', ['-c', command], { cwd: directory });
    return readOutputs(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

test('evicted, resumed on the other node, killed, resumed: as if nothing had happened', {
  timeout: 110_000,
}, async (context) => {
  if (NO_BUILD !== false) return context.skip(NO_BUILD);
  const single = buildSingle();
  const bench = await CondorBench.start();
  if (typeof bench === 'string') return context.skip(bench);
  await using pool = bench;
  const executable = join(pool.pool.makeDirectory('jobs/migrating'), 'blcr_wrapper');
  copyFileSync(single, executable);
  pool.pool.write('jobs/migrating/program', PROGRAM, 0o755);
  pool.pool.write('jobs/migrating/input', INPUT);
  const job = await pool.submit('migrating', {
    executable,
    arguments: pool.classic('1.2s', ['program']),
    inputs: ['program', 'input'],
    outputs: ['state', 'results.tar'],
  });

  await pool.untilEvent(job, (event) => event.event === 'checkpoint' && event.sequence >= 2);
  const stored = (await pool.events(`_${job.id}_`)).filter((event) => event.event === 'checkpoint');
  // Neither the input nor the wrapper's own file, of 30 MB and as young as everything that HTCondor has just transferred.
  for (const event of stored) assert.ok(event.fileBytes < 100_000, `${event.fileBytes} bytes of files travel`);
  const first = await job.node();
  await job.command('condor_vacate_job');
  await job.until('evicted');
  await job.until('executing', 2);
  const resumed = await pool.untilEvent(job, (event) => event.event === 'started');
  assert.ok(resumed.event === 'started' && (resumed.resumedFrom ?? 0) >= 3, 'the eviction added a checkpoint');
  const second = await job.node();
  assert.notEqual(second, first);

  await pool.untilEvent(job, (event) => event.event === 'checkpoint');
  await job.command('condor_vacate_job', '-fast');
  await job.until('executing', 3);
  const again = await pool.untilEvent(job, (event) => event.event === 'started');
  assert.ok(
    again.event === 'started' && (again.resumedFrom ?? 0) > (resumed.resumedFrom ?? 0),
    'the periodic one is newer',
  );
  assert.equal(await job.node(), first);

  await job.until('terminated');
  assert.deepEqual(readOutputs(job.directory), runAlone());
  assert.deepEqual(await job.history('ExitBySignal', 'ExitCode', 'NumShadowStarts'), ['false', '3', '3']);
  assert.equal(job.count('terminated'), 1);
  assert.deepEqual(await pool.stored(), [], 'nothing is left in the store');
  assert.equal(job.has('.blcr'), false, 'images are not outputs');
});
