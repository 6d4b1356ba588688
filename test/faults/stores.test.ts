/** Stores that refuse, fill up or break off: the job runs on, the error is told by its code, and what was stored stays usable. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { counted, counting } from '../cli/job-bench.ts';
import { finishCli } from '../cli/run-cli.ts';
import { ChirpServer } from '../support/chirp-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import {
  CHIRP_LIMITS,
  FaultBench,
  IS_ROOT,
  isCheckpoint,
  isStarted,
  isWarning,
  LiveEvents,
  NEVER,
  OFTEN,
} from './bench.ts';

for (const [what, options, host, extra, code] of [
  ['an unknown host', {}, 'no-such-host.invalid', [], 'ERR_STORE_UNREACHABLE'],
  ['a refused login', { auth: ['unix'] }, undefined, ['--auth', 'hostname'], 'ERR_STORE_DENIED'],
  ['no right to write', { acl: 'hostname:localhost rl\n' }, undefined, ['--auth', 'hostname'], 'ERR_STORE_DENIED'],
  ['no rights at all', { acl: 'hostname:elsewhere rwlda\n' }, undefined, ['--auth', 'hostname'], 'ERR_STORE_DENIED'],
] as const) {
  test(`${what}: told, and the program runs to its own end`, CHIRP_LIMITS, async (context) => {
    const bench = new FaultBench(context);
    await using server = await ChirpServer.start(options);
    const url = `chirp://${host ?? server.host}:${server.port}/store`;
    const script = 'i=0; while [ $i -lt 15 ]; do i=$((i+1)); sleep 0.1; done; echo done; exit 5';
    const child = bench.runAt(url, 'one', ['/bin/sh', '-c', script], [...OFTEN, ...extra]);
    const live = new LiveEvents(child);
    const end = await finishCli(child);
    assert.equal(end.code, 5, end.stderr);
    assert.equal(end.stdout, 'done\n');
    assert.ok(live.seen.some(isWarning(code)), end.stderr);
    assert.ok(bench.events('one').some(isWarning(code)), 'it is in the log as well');
    await bench.untilNothingRuns();
  });
}

test(
  'a full disk on the server: told, the job runs on, the checkpoint before restarts',
  CHIRP_LIMITS,
  async (context) => {
    const bench = new FaultBench(context);
    await using server = await ChirpServer.start(IS_ROOT ? { size: '12M' } : { quota: '12MB' });
    const url = `chirp://${server.host}:${server.port}/store`;
    // 4 MiB of noise fit, the 40 MiB that they become do not.
    const program = [bench.build('victim'), 'write', '4', '40', '7'];
    const first = bench.runAt(url, 'one', program, NEVER);
    const live = new LiveEvents(first);
    await live.until(isStarted);
    await delay(500);
    first.kill('SIGUSR2');
    await live.until(isCheckpoint);
    first.kill('SIGUSR1');
    await delay(1000);
    first.kill('SIGUSR2');
    await live.until(isWarning('ERR_STORE_FULL'));
    assert.equal(first.exitCode, null, 'the job runs on');
    assert.ok(bench.events('one').some(isWarning('ERR_STORE_FULL')), 'it is in the log as well');
    await bench.lose(first);
    const second = bench.runAt(url, 'two', program, NEVER);
    const started = await new LiveEvents(second).until(isStarted);
    assert.ok(started.event === 'started' && started.resumedFrom === 1);
    second.kill('SIGHUP');
    assert.deepEqual(await once(second, 'exit'), [7, null]);
  },
);

test(
  'connections cut in the middle of an upload: sent again after a pause, and usable',
  CHIRP_LIMITS,
  async (context) => {
    const bench = new FaultBench(context);
    await using server = await ChirpServer.start();
    await using proxy = await TcpProxy.start(server);
    const url = `chirp://${proxy.host}:${proxy.port}/store`;
    const program = [bench.build('victim'), 'write', '12', '12', '7'];
    const first = bench.runAt(url, 'one', program, NEVER);
    const live = new LiveEvents(first);
    await live.until(isStarted);
    await delay(500);
    let taken = 0;
    for (const bytes of [1, 2_000_000, 7_000_000]) {
      const [before, seen] = [proxy.connections, live.seen.length];
      proxy.cutAfter(bytes);
      first.kill('SIGUSR2');
      await live.until(isCheckpoint, seen);
      taken += 1;
      assert.ok(proxy.connections > before, `cut after ${bytes}: no new connection was made`);
    }
    await bench.lose(first);
    const second = bench.runAt(url, 'two', program, NEVER);
    const started = await new LiveEvents(second).until(isStarted);
    assert.ok(started.event === 'started' && started.resumedFrom === taken);
    second.kill('SIGHUP');
    assert.deepEqual(await once(second, 'exit'), [7, null]);
  },
);

test('two wrappers with one id on a Chirp server: the older stops itself with 88', CHIRP_LIMITS, async (context) => {
  const bench = new FaultBench(context);
  await using server = await ChirpServer.start();
  const url = `chirp://${server.host}:${server.port}/store`;
  const steps = 120; // long enough for the newer one to come up, also on a busy machine
  const run = (name: string) => bench.runAt(url, name, counting(steps), OFTEN, bench.openOutput(`out-${name}`));
  const older = run('one');
  await bench.until('one', isCheckpoint, older);
  const newer = run('two');
  const [code] = await once(older, 'exit');
  assert.equal(code, 88);
  const end = await finishCli(newer);
  assert.equal(end.code, 0, end.stderr);
  assert.equal(bench.read('out-two'), counted(steps));
  await bench.untilNothingRuns();
});
