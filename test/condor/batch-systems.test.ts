/** The loop of docs/batch-systems.md, without any batch system: SIGTERM, SIGKILL, run again. */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { JobEvent } from '../../lib/job/events.ts';
import { counted, counting, JobBench, SKIP } from '../cli/job-bench.ts';

const page = readFileSync(new URL('../../docs/batch-systems.md', import.meta.url), 'utf8');
const loop = /^```sh\n(.*?)^```$/ms.exec(page)?.[1] ?? '';
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const user = process.getuid?.() === 0 ? { uid: 1000, gid: 1000 } : {};
const isStored = (event: JobEvent): boolean => event.event === 'checkpoint';

test('the loop of docs/batch-systems.md', { skip: SKIP, timeout: 90_000 }, async (context) => {
  const bench = new JobBench(context);
  const scratch = bench.makeDirectory('scratch');
  const bin = bench.makeDirectory('bin');
  const wrapper = `#!/bin/sh\nexec ${process.execPath} ${main} "$@"\n`;
  writeFileSync(join(bin, 'blcr'), wrapper, { mode: 0o755 });
  writeFileSync(join(scratch, 'simulate'), `#!/bin/sh\n${counting(60)[2]}\nexit 3\n`, { mode: 0o755 });
  const script = loop.replace('--every 30m', '--every 1s');
  assert.notEqual(script, loop);
  const out = bench.openOutput('out');
  const shell = spawn('/bin/sh', ['-c', script], {
    cwd: scratch,
    env: { PATH: `${bin}:/usr/bin:/bin`, HOME: scratch, STORE: bench.store, ID: 'sim', BLCR_TEST: bench.directory },
    stdio: ['ignore', out, 'pipe'],
    ...user,
  });
  const ended = once(shell, 'exit');
  const wrapperPid = (): number => Number(execFileSync('pgrep', ['-P', String(shell.pid)], { encoding: 'utf8' }));
  let seen = 0;
  const untilNew = async (is: (event: JobEvent) => boolean): Promise<void> => {
    await bench.until('scratch', () => bench.events('scratch').slice(seen).some(is));
  };
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await untilNew(isStored);
    seen = bench.events('scratch').length;
    process.kill(wrapperPid(), signal);
    await untilNew(({ event }) => event === 'started');
  }
  assert.deepEqual(await ended, [3, null]);
  assert.equal(bench.read('out'), counted(60));
  const starts = bench.events('scratch').filter(({ event }) => event === 'started');
  assert.equal(starts.length, 3);
  assert.ok(starts.slice(1).every((event) => event.event === 'started' && event.resumedFrom !== undefined));
  await bench.untilNothingRuns();
});
