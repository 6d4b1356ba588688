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

/** Victims that verify themselves, of all kinds of resources; no locks, because 9p of older kernels makes one kind of the other. */
const VICTIMS = ['manyThreads', 'families', 'zombies', 'signalFd', 'timerFdKinds', 'eventFds', 'epollTargets', 'fifo'];
const MORE = ['fileUnlinked', 'posixShm', 'memfd', 'sharedAcross', 'hiddenContents', 'attributes', 'inotifyWatches'];

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

async function travel(
  directory: string,
  stop: Stop,
  command: readonly string[],
  env: Record<string, string>,
): Promise<string> {
  if (stop === 'here') {
    const user = ['--reuid', String(ORDINARY), '--regid', String(ORDINARY), '--clear-groups'];
    const options = { cwd: directory, env: { PATH: process.env['PATH'], HOME: directory, ...env } } as const;
    const { stdout, stderr } = spawnSync('setpriv', [...user, ...command], { ...options, encoding: 'utf8' });
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
  await runInMachine({ kernel, command, cwd: directory, writable: [directory], uid: ORDINARY, env, output });
  return text;
}

/** Every job in `directory` from stop to stop; at each it is what it was. */
async function journey(directory: string, names: readonly string[], stops: readonly Stop[]): Promise<void> {
  const env = confinedEnvironment({}, 'x86-64-v2') as Record<string, string>;
  for (const [index, stop] of stops.entries()) {
    const last = index === stops.length - 1 ? ['last'] : [];
    const text = await travel(directory, stop, ['bash', LEG, NATIVE, String(index), ...last], index === 0 ? env : {});
    const read = (name: string, file: string): string => {
      const path = join(directory, name, file);
      return existsSync(path) ? readFileSync(path, 'utf8') : '';
    };
    const failed = names.filter((name) => read(name, `done-${index}`) !== '0\n');
    const logs = failed.map((name) => `${name}: ${read(name, 'log')}${read(name, 'out')}`);
    assert.deepEqual(failed, [], `leg ${index}, ${stop}: ${text}\n${logs.join('\n')}`);
  }
  for (const name of names) assert.equal(readFileSync(join(directory, name, 'out'), 'utf8'), 'kept\n');
}

const ROUTES: readonly (readonly Stop[])[] = [
  ['here', '5.10', '6.12', '6.1', 'here'],
  ['6.1', 'here', '5.10', '6.1'],
];

for (const stops of ROUTES) {
  test(`jobs go on along ${stops.join(' → ')}`, async (t) => {
    const reason = reasonToSkip();
    if (reason !== undefined) return t.skip(reason);
    const holds = join(NATIVE, 'victims/victim_holds');
    const commands: Record<string, string> = { python: '/usr/bin/python3 traveller.py' };
    for (const name of [...VICTIMS, ...MORE]) commands[name] = `${holds} ${name}`;
    const names = Object.keys(commands);
    await journey(pack(t, commands), names, stops);
  });
}
