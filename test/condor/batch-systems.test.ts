/** What docs/batch-systems.md says, without any batch system: the loop, the line for cron, the unit for systemd. SLURM's script: slurm.test.ts. */

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { JobEvent } from '../../lib/job/events.ts';
import { counted, counting, JobBench, SKIP } from '../cli/job-bench.ts';

const page = readFileSync(new URL('../../docs/batch-systems.md', import.meta.url), 'utf8');
const commands = fileURLToPath(new URL('../../bin', import.meta.url));
const user = process.getuid?.() === 0 ? { uid: 1000, gid: 1000 } : {};
const LIMITS = { skip: SKIP, timeout: 90_000 };
const isStored = (event: JobEvent): boolean => event.event === 'checkpoint';
const isStart = (event: JobEvent): boolean => event.event === 'started';

const blockOf = (language: string): string => {
  const [, block] = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'ms').exec(page) ?? [];
  assert.ok(block, `the page has a block for ${language}`);
  return block;
};

/** A home directory with `sim/simulate` in it, and shells that find `blcr`. */
class Home {
  readonly bench: JobBench;
  readonly directory: string;
  #seen = 0;

  constructor(context: TestContext, steps: number, status: number) {
    this.bench = new JobBench(context);
    this.directory = this.bench.makeDirectory('home');
    this.bench.makeDirectory('home/checkpoints');
    const scratch = this.bench.makeDirectory('home/sim');
    const program = `#!/bin/sh\n${counting(steps)[2]}\nexit ${status}\n`;
    writeFileSync(join(scratch, 'simulate'), program, { mode: 0o755 });
  }

  /** Starts a command with what it has to say in `home/sim/out`. */
  shell(command: string, cwd: string, env: NodeJS.ProcessEnv = {}): ChildProcess {
    return spawn('/bin/sh', ['-c', command], {
      cwd: join(this.directory, cwd),
      env: {
        PATH: `${commands}:${dirname(process.execPath)}:/usr/bin:/bin`,
        HOME: this.directory,
        BLCR_TEST: this.bench.directory,
        ...env,
      },
      stdio: ['ignore', this.bench.openOutput('home/sim/out'), 'pipe'],
      ...user,
    });
  }

  events(): readonly JobEvent[] {
    return this.bench.events('home/sim');
  }

  /** Waits for an event that nobody has waited for yet. */
  async untilNew(is: (event: JobEvent) => boolean): Promise<void> {
    await this.bench.until('home/sim', () => this.events().slice(this.#seen).some(is));
    this.#seen = this.events().length;
  }

  /** The wrapper, which is a child of the shell or (`flock`) of its child. */
  wrapper(shell: ChildProcess): number {
    const [child = 0] = childrenOf(shell.pid ?? 0);
    return readFileSync(`/proc/${child}/comm`, 'utf8') === 'flock\n' ? (childrenOf(child)[0] ?? 0) : child;
  }

  expectResumed(times: number): void {
    const starts = this.events().filter(isStart);
    assert.equal(starts.length, times + 1);
    assert.ok(starts.slice(1).every((event) => event.event === 'started' && event.resumedFrom !== undefined));
  }
}

const childrenOf = (pid: number): number[] =>
  execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map(Number);

test('the loop of docs/batch-systems.md', LIMITS, async (context) => {
  const home = new Home(context, 60, 3);
  const script = blockOf('sh').replace('--every 30m', '--every 1s');
  assert.match(script, /--every 1s/);
  const shell = home.shell(script, 'sim', { STORE: home.bench.store, ID: 'sim' });
  const ended = once(shell, 'exit');
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await home.untilNew(isStored);
    process.kill(home.wrapper(shell), signal);
    await home.untilNew(isStart);
  }
  assert.deepEqual(await ended, [3, null]);
  assert.equal(home.bench.read('home/sim/out'), counted(60));
  home.expectResumed(2);
  await home.bench.untilNothingRuns();
});

test('the line for cron: once at a time, and on after a machine was lost', LIMITS, async (context) => {
  const home = new Home(context, 30, 0);
  const [, command = ''] = /^\S+ \S+ \S+ \S+ \S+ (.*)$/m.exec(blockOf('cron')) ?? [];
  const line = command.replace('--vacate-after 8h', '$& --every 1s');
  assert.match(line, /8h --every 1s/);
  const first = home.shell(line, '.');
  await home.untilNew(isStored);
  const second = home.shell(line, '.');
  assert.deepEqual(await once(second, 'exit'), [1, null], 'one runs already');
  const lost = once(first, 'exit');
  for (const pid of home.bench.processes()) process.kill(pid, 'SIGKILL');
  await lost;
  await home.bench.untilNothingRuns();
  assert.deepEqual(await once(home.shell(line, '.'), 'exit'), [0, null]);
  assert.equal(home.bench.read('home/sim/out'), counted(30));
  home.expectResumed(1);
});

test(
  'the unit for systemd: its command is stopped by SIGTERM and goes on, and systemd finds no fault in it',
  LIMITS,
  async (context) => {
    const home = new Home(context, 30, 0);
    const unit = blockOf('systemd')
      .replace('/usr/local/bin/blcr', join(commands, 'blcr'))
      .replace(/chirp:\/\/\S+/, home.bench.store)
      .replace('/opt/simulate /data/input.dat', './simulate')
      .replace('/var/lib/sim', join(home.directory, 'sim'));
    const [, command = ''] = /^ExecStart=(.*)$/m.exec(unit) ?? [];
    const first = home.shell(`exec ${command}`, 'sim');
    await home.untilNew(isStart);
    first.kill('SIGTERM');
    const [code] = await once(first, 'exit');
    assert.match(unit, new RegExp(`^RestartForceExitStatus=.*\\b${code}\\b`, 'm'), 'it would be started again');
    assert.deepEqual(await once(home.shell(`exec ${command}`, 'sim'), 'exit'), [0, null]);
    assert.equal(home.bench.read('home/sim/out'), counted(30));
    home.expectResumed(1);

    const path = join(home.directory, 'sim.service');
    writeFileSync(path, unit);
    const { error, status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', path], { encoding: 'utf8' });
    if (error !== undefined) return context.diagnostic('systemd-analyze is not installed');
    assert.deepEqual([status, stderr.split('\n').filter((text) => text.includes('sim.service'))], [0, []], stderr);
  },
);
