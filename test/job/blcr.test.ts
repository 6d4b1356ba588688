/** The job layer on genuine BLCR, played by the scripted library: what BLCR has no word for is made up for from outside. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Provider } from '../../lib/checkpoint/types.ts';
import { blcrEngine } from '../../lib/job/blcr/engine.ts';
import { JOB_MARK } from '../../lib/job/blcr/leftovers.ts';
import { SteadyPlace } from '../../lib/job/blcr/steady-place.ts';
import type { Engine } from '../../lib/job/engine.ts';
import { Job } from '../../lib/job/job.ts';
import type { JobOptions } from '../../lib/job/options.ts';
import { probeProvider } from '../../lib/job/probe.ts';
import { systemFoundations } from '../../lib/job/system.ts';
import type { NativeRestartArgs } from '../../lib/native/binding.ts';
import { openScripted, script } from '../native/scripted.ts';

const options = { timeout: 30_000 };

interface Stage {
  readonly home: string;
  readonly place: string;
  readonly id: string;
  readonly engine: Engine;
  readonly restarts: NativeRestartArgs[];
  open(program: string, more?: Partial<JobOptions>): Promise<Job>;
}

/** A node with cr_run, a store, and a scratch directory that holds one input. */
function stage(context: TestContext): Stage {
  const base = mkdtempSync(join(tmpdir(), 'blcr-job-'));
  const id = `test-${process.pid}-${Date.now().toString(36)}`;
  const place = join('/tmp', `blcr-${id}`);
  for (const name of ['bin', 'home', 'store']) mkdirSync(join(base, name));
  writeFileSync(join(base, 'bin/cr_run'), '#!/bin/sh\nexec "$@"\n');
  chmodSync(join(base, 'bin/cr_run'), 0o755);
  const path = process.env['PATH'];
  process.env['PATH'] = `${join(base, 'bin')}:${path}`;
  context.after(() => {
    process.env['PATH'] = path;
    rmSync(base, { recursive: true, force: true });
    rmSync(place, { recursive: true, force: true });
  });
  const home = join(base, 'home');
  writeFileSync(join(home, 'input'), 'given\n');
  const restarts: NativeRestartArgs[] = [];
  const engine = blcrEngine(recording(openScripted(), restarts));
  return {
    home,
    place,
    id,
    engine,
    restarts,
    open: async (program, more = {}) => {
      const job = await Job.open(
        {
          ...{ id, store: `file://${join(base, 'store')}`, command: 'sh', args: ['-c', program], cwd: home },
          ...{ every: '1h', first: '1h', stdio: ['ignore', 'ignore', 'ignore'], files: 'changed' },
          ...more,
        },
        { ...systemFoundations, engine: () => engine },
      );
      context.after(() => job[Symbol.asyncDispose]());
      return job;
    },
  };
}

function recording(provider: Provider, restarts: NativeRestartArgs[]): Provider {
  const { binding } = provider;
  const requestRestart: typeof binding.requestRestart = (args) => {
    restarts.push(args);
    return binding.requestRestart(args);
  };
  return { ...provider, binding: Object.assign(Object.create(binding), { requestRestart }) };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10);
}

const stateOf = (pid: number): string => / ([A-Z]) /.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1] ?? '';

test('the program lives in /tmp/blcr-<id>, and its files come home', options, async (context) => {
  const { home, place, open } = stage(context);
  script({ bytes: 5000 });
  const job = await open('pwd > where; cat input > copy; rm input; until [ -e go ]; do sleep 0.02; done; exit 3');
  await until(() => existsSync(join(place, 'copy')) && !existsSync(join(place, 'input')));
  const { fileBytes } = await job.checkpoint();
  assert.ok(fileBytes >= 'given\n'.length + place.length);
  writeFileSync(join(place, 'go'), '');
  assert.deepEqual(await job.done, { reason: 'exited', exitCode: 3, signal: undefined });
  assert.equal(readFileSync(join(home, 'where'), 'utf8'), `${place}\n`);
  assert.equal(readFileSync(join(home, 'copy'), 'utf8'), 'given\n');
  assert.equal(existsSync(join(home, 'input')), false);
  assert.equal(existsSync(place), false);
});

test('evicted and resumed: files laid out, its own session, outputs where they are now', options, async (context) => {
  const { home, place, id, open, restarts } = stage(context);
  script({ bytes: 5000, child: 4, life: 300 });
  const output = join(home, '../output');
  const run = async (): Promise<Job> => {
    const fd = openSync(output, 'a');
    context.after(() => closeSync(fd));
    return await open('echo said; echo made > made; sleep 60', {
      acceptChanged: true,
      stdio: ['ignore', fd, 'ignore'],
    });
  };
  const first = await run();
  await until(() => existsSync(join(place, 'made')));
  assert.equal((await first.vacate({ deadlineMs: 20_000 })).reason, 'vacated');
  assert.equal(existsSync(place), false);
  // What is looked for later is in the scratch directory that the batch system gave, and outlives the place.
  assert.match(readFileSync(join(home, '.blcr/events.log'), 'utf8'), /"event":"vacating"/);
  assert.ok(existsSync(join(home, `.blcr/started-${id}`)));
  appendFileSync(output, 'what came after the checkpoint\n');
  const second = await run();
  assert.equal(readFileSync(output, 'utf8'), 'said\n'); // known as the same file, also by kernels that tell no times of birth
  assert.equal(readFileSync(join(place, 'made'), 'utf8'), 'made\n');
  assert.deepEqual(await second.done, { reason: 'exited', exitCode: 4, signal: undefined });
  // CR_RSTRT_RESTORE_PID, _PGID and _SID.
  assert.equal((restarts[0]?.flags ?? 0) & 0xe, 0xe);
  assert.equal(readFileSync(join(home, 'made'), 'utf8'), 'made\n');
});

test('a request that was given up does not leave the job stopped', options, async (context) => {
  const { home, engine } = stage(context);
  script({ bytes: 5000, delay: 300 });
  const env = process.env;
  const running = await engine.launch({
    ...{ command: 'sleep', args: ['60'], cwd: home, env, stdio: [0, 1, 2], onLimitation: () => undefined },
  });
  const into = join(home, '..', 'store');
  const abort = AbortSignal.timeout(20);
  const pending = engine.checkpoint({ target: running.target, to: 'pipe', capture: { root: home, into }, abort });
  await assert.rejects(pending.done, { code: 'ABORT_ERR' });
  await pending.settled; // BLCR has stopped the job by then
  await until(() => stateOf(running.pid) === 'S');
  running.kill();
  assert.equal((await running.exit).signal, 'SIGKILL');
  closeSync(pending.context ?? -1);
});

test('what a killed incarnation left is ended and removed', options, async (context) => {
  const { home, place, id } = stage(context);
  mkdirSync(join(place, '.blcr'), { recursive: true });
  writeFileSync(join(place, '.blcr/owner'), '999999999 1');
  writeFileSync(join(place, 'stale'), '');
  const orphan = spawn('sleep', ['60'], { env: { ...process.env, [JOB_MARK]: place }, stdio: 'ignore' });
  const ended = new Promise((resolve) => orphan.once('exit', (_code, signal) => resolve(signal)));
  const opened = await SteadyPlace.open(id, home);
  assert.equal(await ended, 'SIGKILL');
  assert.equal(existsSync(join(place, 'stale')), false);
  assert.equal(readFileSync(join(place, 'input'), 'utf8'), 'given\n');
  await assert.rejects(SteadyPlace.open(id, home), { code: 'ERR_JOB_NODE', exitCode: 75 });
  await opened.remove();
});

test('a path that is not ours is refused, and left alone', options, async (context) => {
  const { home, place, id } = stage(context);
  symlinkSync(home, place);
  await assert.rejects(SteadyPlace.open(id, home), { code: 'ERR_JOB_NODE', exitCode: 75 });
  assert.equal(readFileSync(join(home, 'input'), 'utf8'), 'given\n');
});

test('what works is proved, and what does not is told', options, async (context) => {
  stage(context);
  const provider = openScripted();
  script({ bytes: 5000, life: 30_000 });
  assert.deepEqual(await probeProvider(provider), {
    ...{ ok: true, reason: '' },
    ...{ userNamespaces: false, kernel: release() },
  });
  script({ bytes: 5000, life: 0 });
  assert.match((await probeProvider(provider)).reason, /ended too early \(exit code 0\)/);
  script({ error: 77 });
  assert.match((await probeProvider(provider)).reason, /checkpoint of process \d+/);
  process.env['PATH'] = '/nowhere';
  assert.match((await probeProvider(provider)).reason, /cr_run/);
});
