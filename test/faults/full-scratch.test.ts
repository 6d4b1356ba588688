/** A scratch directory without room for a checkpoint's copies: the job finishes, and the log says why there was none. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { FaultBench, IS_ROOT, isCheckpoint, isWarning, LIMITS, LiveEvents, OFTEN, ORDINARY_USER } from './bench.ts';

/** Fills the directory, waits to be told, makes room again. */
const SCRIPT = `
dd if=/dev/zero of=large bs=64k 2>/dev/null
touch full
trap 'rm large' USR1
i=0; while [ -e large ] && [ $i -lt 300 ]; do i=$((i+1)); sleep 0.1; done
trap 'exit 7' HUP
while :; do sleep 0.1; done`;

const skip = LIMITS.skip || (IS_ROOT ? false : 'mounting a small file system needs root');

test('the scratch directory is full: told, in the log as well; checkpoints go on when there is room', {
  ...LIMITS,
  skip,
}, async (context) => {
  const bench = new FaultBench(context);
  const scratch = bench.makeDirectory('one');
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=4m,mode=700,uid=${ORDINARY_USER}`, 'tmpfs', scratch]);
  using _mounted = { [Symbol.dispose]: () => void execFileSync('umount', ['-l', scratch]) };
  const child = bench.runAt(bench.store, 'one', ['/bin/sh', '-c', SCRIPT], OFTEN);
  const live = new LiveEvents(child);
  await live.until(isWarning('ENOSPC'));
  await bench.until('one', isWarning('ENOSPC'), child); // in the log, although that is on the full disk as well
  const before = live.seen.length;
  child.kill('SIGUSR1');
  await live.until(isCheckpoint, before);
  child.kill('SIGHUP');
  assert.deepEqual(await once(child, 'exit'), [7, null]);
});
