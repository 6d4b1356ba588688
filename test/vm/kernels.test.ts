/**
 * Jobs that travel between this machine's kernel and Debian's, in virtual machines. Minutes, and the kernels are downloaded once:
 * `BLCR_TEST_KERNELS=1 ./scripts/test --only unit vm/kernels`.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { confinedEnvironment } from '../../lib/job/cpu-baseline.ts';
import { type KernelVersion, obtainKernel } from '../support/vm/kernel.ts';
import { runInMachine } from '../support/vm/machine.ts';

const NATIVE = fileURLToPath(new URL('../../build/native', import.meta.url));
const LEG = fileURLToPath(new URL('leg.sh', import.meta.url));
const TRAVELLER = fileURLToPath(new URL('traveller.py', import.meta.url));
const ORDINARY = 1000;

/**
 * Victims that verify themselves, of all kinds of resources. None with FIFOs, unlinked files or locks, which the file system that machines
 * share lacks or changes, and none that measures the real time of a journey.
 */
const VICTIMS = ['manyThreads', 'families', 'zombies', 'signalFd', 'eventFds', 'epollTargets', 'pidFd'];
const MORE = ['posixShm', 'memfd', 'sharedAcross', 'hiddenContents', 'jitCode', 'attributes'];
/** Its last life is here: in the file system that machines share (9p without a cache) every look-up makes another inode, and a watch hears nothing
 * there, that of a program without checkpoints neither. */
const ENDS_HERE = 'inotifyWatches';

type Stop = KernelVersion | 'here';

function reasonToSkip(): string | undefined {
  if (process.env['BLCR_TEST_KERNELS'] !== '1') return 'set BLCR_TEST_KERNELS=1: it takes ten minutes';
  return process.getuid?.() === 0 ? undefined : 'only root can give the jobs to another user';
}

/** A directory with one directory for each job. */
function pack(t: TestContext, commands: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'kernels-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  chownSync(directory, ORDINARY, ORDINARY);
  chmodSync(directory, 0o755);
  for (const [name, command] of Object.entries(commands)) {
    const own = join(directory, name);
    mkdirSync(own);
    writeFileSync(join(own, 'command'), `exec ${command}\n`);
    cpSync(TRAVELLER, join(own, 'traveller.py'));
    chownSync(own, ORDINARY, ORDINARY);
  }
  return directory;
}

/** Runs `command` in `directory` as an ordinary user; what was said there. */
async function travel(
  directory: string,
  stop: Stop,
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  machine: { cpu?: string; before?: string } = {},
): Promise<string> {
  const user = ['setpriv', '--reuid', String(ORDINARY), '--regid', String(ORDINARY), '--clear-groups'];
  const whole = ['sh', '-c', `${machine.before ?? 'true'} && exec "$@"`, 'sh', ...user, ...command];
  if (stop === 'here') {
    const options = { cwd: directory, env: { PATH: process.env['PATH'], HOME: directory, ...env } } as const;
    const { stdout, stderr } = spawnSync('sh', whole.slice(1), { ...options, encoding: 'utf8' });
    return stdout + stderr;
  }
  let text = '';
  const output = new Writable({
    write: (chunk, _encoding, done) => {
      text += String(chunk);
      done();
    },
  });
  const kernel = await obtainKernel(stop);
  const { cpu = 'max' } = machine;
  await runInMachine({ kernel, cpu, command: whole, cwd: directory, writable: [directory], env, output });
  return text;
}

function read(directory: string, name: string, file: string): string {
  const path = join(directory, name, file);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** Every job in `directory` has done this leg well. */
function expectDone(directory: string, names: readonly string[], leg: number, stop: Stop, text: string): void {
  const failed = names.filter((name) => read(directory, name, `done-${leg}`) !== '0\n');
  const logs = failed.map((name) => `${name}: ${read(directory, name, 'log')}${read(directory, name, 'out')}`);
  assert.deepEqual(failed, [], `leg ${leg}, ${stop}: ${text}\n${logs.join('\n')}`);
}

const confined = { ...confinedEnvironment({}, 'x86-64-v2'), BASELINE: 'x86-64-v2' } as Record<string, string>;

/** Every job in `directory` from stop to stop; at each it is what it was. */
async function journey(directory: string, names: readonly string[], stops: readonly Stop[]): Promise<void> {
  for (const [leg, stop] of stops.entries()) {
    const last = leg === stops.length - 1 ? ['last'] : [];
    const text = await travel(directory, stop, ['bash', LEG, NATIVE, String(leg), ...last], leg === 0 ? confined : {});
    expectDone(directory, names, leg, stop, text);
  }
  for (const name of names) assert.equal(read(directory, name, 'out'), 'kept\n');
}

function commandsOf(names: readonly string[]): Record<string, string> {
  const holds = join(NATIVE, 'victims/victim_holds');
  const victims = names.map((name) => [name, `${holds} ${name}`] as const);
  return { python: '/usr/bin/python3 traveller.py', ...Object.fromEntries(victims) };
}

const ROUTES: readonly (readonly Stop[])[] = [
  ['here', '5.10', '6.12', '6.1', 'here'],
  ['6.1', 'here', '5.10', '6.1'],
];

for (const stops of ROUTES) {
  test(`jobs go on along ${stops.join(' → ')}`, async (t) => {
    const reason = reasonToSkip();
    if (reason !== undefined) return t.skip(reason);
    const commands = commandsOf([...VICTIMS, ...MORE, ...(stops.at(-1) === 'here' ? [ENDS_HERE] : [])]);
    await journey(pack(t, commands), Object.keys(commands), stops);
  });
}

test('where Yama lets only ancestors trace, all is as elsewhere', async (t) => {
  const reason = reasonToSkip();
  if (reason !== undefined) return t.skip(reason);
  const commands = commandsOf(['manyThreads', 'families', 'zombies']);
  const directory = pack(t, commands);
  const legs = ['0', '1', '2 last'].map((leg) => `bash ${LEG} ${NATIVE} ${leg}`).join(' && ');
  const before = 'echo 1 > /proc/sys/kernel/yama/ptrace_scope';
  const text = await travel(directory, '6.1', ['bash', '-c', legs], confined, { before });
  for (const leg of [0, 1, 2]) expectDone(directory, Object.keys(commands), leg, '6.1', text);
});

test('a processor that lacks features is told by their names', async (t) => {
  const reason = reasonToSkip();
  if (reason !== undefined) return t.skip(reason);
  const directory = pack(t, commandsOf([]));
  expectDone(directory, ['python'], 0, 'here', await travel(directory, 'here', ['bash', LEG, NATIVE, '0'], {}));
  await travel(directory, '6.12', ['bash', LEG, NATIVE, '1', 'last'], {}, { cpu: 'Nehalem' });
  assert.match(read(directory, 'python', 'log'), /this processor lacks features .*\bavx\b/);
  assert.notEqual(read(directory, 'python', 'done-1'), '0\n');
  assert.equal(read(directory, 'python', 'lines'), 'before\n');
});
