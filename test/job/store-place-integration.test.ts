/** A store that lies in the directory of the job's files. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { storeBelow } from '../../lib/job/store-place.ts';
import { openStore } from '../../lib/store/index.ts';
import { counted, counting, JobBench, SKIP } from '../cli/job-bench.ts';
import { finishCli } from '../cli/run-cli.ts';

test('a store is found below the job’s directory, whatever links lead there', async (context) => {
  const top = mkdtempSync(join(tmpdir(), 'blcr-place-'));
  context.after(() => rmSync(top, { recursive: true }));
  mkdirSync(join(top, 'job/deep/store'), { recursive: true });
  mkdirSync(join(top, 'job-2'));
  symlinkSync(join(top, 'job'), join(top, 'link'));
  const url = (path: string): string => `file://${join(top, path)}`;
  assert.equal(await storeBelow(url('job/deep/store'), join(top, 'job')), join(top, 'job/deep/store'));
  assert.equal(await storeBelow(url('link/deep/store'), join(top, 'job')), join(top, 'job/deep/store'));
  assert.equal(await storeBelow(url('job/deep/store'), join(top, 'link')), join(top, 'link/deep/store'));
  assert.equal(await storeBelow(url('link/not%20yet'), join(top, 'job')), join(top, 'job/not yet'));
  assert.equal(await storeBelow(url('job/..kept'), join(top, 'job')), join(top, 'job/..kept'));
  assert.equal(await storeBelow(url('job-2'), join(top, 'job')), undefined);
  assert.equal(await storeBelow(url(''), join(top, 'job')), undefined);
  assert.equal(await storeBelow('chirp://127.0.0.1/job', join(top, 'job')), undefined);
  await assert.rejects(storeBelow(url('link'), join(top, 'job')), { code: 'ERR_USAGE', message: /of its own/ });
});

const LIMITS = { skip: SKIP, timeout: 120_000 };

test('it is in no checkpoint, and the job is resumed from it', LIMITS, async (context) => {
  const bench = new JobBench(context);
  bench.makeDirectory('one/kept');
  const store = `file://${join(bench.directory, 'one/kept/store')}`;
  const run = (to: string): ReturnType<JobBench['start']> =>
    bench.start(
      'one',
      ['run', '--store', store, '--id', 'inside', '--every', '500ms', '--first', '300ms', '--', ...counting(50)],
      bench.openOutput(to),
    );
  const first = run('out');
  await bench.until('one', (event) => event.event === 'checkpoint' && event.sequence === 3, first);
  first.kill('SIGKILL');
  await once(first, 'exit');
  await bench.untilNothingRuns();
  {
    await using opened = await openStore(store);
    const view = await opened.inspect('inside');
    const newest = await view?.open(view.summary.newest ?? 0);
    assert.deepEqual(newest?.files.map(({ path }) => path).sort(), ['state', 'stdout']);
  }
  const { code, stderr } = await finishCli(run('out'));
  assert.equal(code, 0, stderr);
  assert.equal(bench.read('out'), counted(50));
});

test('the directory itself is refused before anything starts', LIMITS, async (context) => {
  const bench = new JobBench(context);
  const at = bench.makeDirectory('one');
  const { code, stderr } = await finishCli(
    bench.start('one', ['run', '--store', `file://${at}`, '--id', 'same', '--', 'touch', 'started']),
  );
  assert.equal(code, 64);
  assert.match(stderr, /is the directory of the job's files/);
  assert.throws(() => bench.read('one/started'));
});
