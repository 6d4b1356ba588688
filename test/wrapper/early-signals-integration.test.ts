/** Signals that come before the program inside Node handles them: with the single executable, and with a Node that is installed. */
import assert from 'node:assert/strict';
import { readlinkSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { packageRoot } from '../../lib/native/load.ts';
import { JobBench, SKIP } from '../cli/job-bench.ts';
import { type Finished, finishCli } from '../cli/run-cli.ts';
import { buildSingle, NO_BUILD, type StartOptions, startSingle } from './single.ts';

before(() => {
  buildSingle();
});

interface Form {
  readonly name: string;
  readonly skip: string | false;
  readonly options: StartOptions;
  /** Whether the process whose executable has this path is Node by now. */
  isNode(executable: string): boolean;
}

const PATH = `${dirname(process.execPath)}:/usr/bin:/bin`;

const FORMS: readonly Form[] = [
  {
    name: 'single file',
    skip: SKIP || NO_BUILD,
    options: {},
    isNode: (executable) => executable.endsWith(' (deleted)'), // what the launcher unpacks has no name
  },
  {
    name: 'installed',
    skip: SKIP,
    options: { executable: join(packageRoot, 'bin/blcr_wrapper'), env: { PATH } },
    isNode: (executable) => executable === realpathSync(process.execPath),
  },
];

/** Commands in front of the wrapper's, under which a signal waits for whoever lets it through. */
const pending = (signal: string): readonly string[] => [
  'env',
  `--block-signal=${signal}`,
  'sh',
  '-c',
  `kill -${signal} $$; exec "$@"`,
  'sh',
];

for (const { name, skip, options, isNode } of FORMS) {
  const limits = { timeout: 120_000, skip };

  test(`${name}: signals that come before Node runs are the job’s`, limits, async (context) => {
    const bench = new JobBench(context);
    const start = (directory: string, signal: string, args: readonly string[]): Promise<Finished> =>
      finishCli(startSingle(bench, directory, args, { ...options, prefix: pending(signal) }));
    const run = (id: string, signal: string): Promise<Finished> =>
      start(id, signal, ['run', '--store', bench.store, '--id', id, '--', '/bin/sleep', '1000']);
    const passed = await run('usr1', 'USR1');
    assert.equal(passed.signal, 'SIGUSR1', passed.stderr); // of which the program has died
    assert.match(passed.stderr, /died of SIGUSR1/);
    assert.doesNotMatch(passed.stderr, /Debugger/);
    const evicted = await run('term', 'TERM');
    assert.equal(evicted.code, 85, evicted.stderr);
    // Without a job it is this program's own to die of.
    assert.equal((await start('ls', 'TERM', ['ls', '--store', bench.store])).signal, 'SIGTERM');
  });

  test(`${name}: signals that come while Node starts are the job’s`, limits, async (context) => {
    const bench = new JobBench(context);
    const evict = async (id: string, signal: NodeJS.Signals, delayMs: number): Promise<void> => {
      const ad = join(bench.makeDirectory(id), '.job.ad');
      writeFileSync(ad, `KillSig = "${signal}"\n`);
      const args = ['run', '--store', bench.store, '--id', id, '--', '/bin/sleep', '1000'];
      const wrapper = startSingle(bench, id, args, { ...options, env: { ...options.env, _CONDOR_JOB_AD: ad } });
      const finished = finishCli(wrapper);
      while (!isNode(readlinkSync(`/proc/${wrapper.pid}/exe`))) await delay(1);
      await delay(delayMs);
      wrapper.kill(signal);
      const { code, signal: died, stderr } = await finished;
      assert.deepEqual([code, died], [85, null], `${signal} ${delayMs} ms after Node began: ${stderr}`);
    };
    // Whenever they come, it is 85; the first ones come before Node has given signals the handlers that it likes.
    await Promise.all([evict('first', 'SIGTERM', 0), evict('soon', 'SIGTERM', 20), evict('later', 'SIGTERM', 50)]);
    await Promise.all([evict('debugger', 'SIGUSR1', 20), evict('limit', 'SIGXCPU', 20)]);
  });

  test(`${name}: Node’s own settings are the program’s`, limits, async (context) => {
    const bench = new JobBench(context);
    const env = { NODE_OPTIONS: '--bad', LD_PRELOAD: '', MALLOC_ARENA_MAX: '7', NODE_DEBUG: 'net' };
    const program = [
      '/bin/sh',
      '-c',
      'echo "$NODE_OPTIONS,$LD_PRELOAD,$MALLOC_ARENA_MAX,$NODE_DEBUG"; env | grep -c ^BLCR',
    ];
    const args = ['run', '--store', bench.store, '--id', 'job', '--', ...program];
    const wrapper = startSingle(bench, 'job', args, { ...options, env: { ...options.env, ...env } });
    const { code, stdout, stderr } = await finishCli(wrapper);
    assert.deepEqual([code, stdout], [0, '--bad,,7,net\n1\n'], stderr); // the one is this test's own mark
  });
}

test('installed: a SIGTERM that the shell in front has got is passed on', {
  skip: SKIP,
  timeout: 60_000,
}, async (context) => {
  const bench = new JobBench(context);
  // What bin/start executes then.
  const args = ['-TERM', join(packageRoot, 'dist/cli/wrapper.js'), 'run', '--store', bench.store, '--id', 'job'];
  const options = { executable: join(packageRoot, 'build/native/blcr-start'), env: { PATH } };
  const { code, stderr } = await finishCli(startSingle(bench, 'job', [...args, '--', '/bin/sleep', '1000'], options));
  assert.equal(code, 85, stderr);
});
