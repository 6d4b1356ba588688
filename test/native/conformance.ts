/**
 * The contract of libcr, asked of every provider by one program (conformance.c): our library and the scripted one that plays genuine BLCR in the
 * default tests, genuine BLCR in its machine (test/blcr/conformance.ts). Differences are listed here with reasons, and nowhere else.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';

const { EAGAIN, EBADF, EBUSY, EDEADLK, EINVAL, ENOTTY, ESRCH } = constants.errno;

/** What the contract says. */
const CONTRACT: Readonly<Record<string, number>> = {
  'defaults.checkpoint': 0,
  'defaults.checkpoint.scope': -1,
  'defaults.checkpoint.fd': -1,
  'defaults.checkpoint.rest': 0,
  'defaults.restart': 0,
  'defaults.restart.flags': 2,
  'defaults.restart.fd': -1,
  'defaults.restart.relocate': 0,
  'defaults.version2': -EINVAL,
  'init.first': 0,
  'init.second': 1,
  'strerror.own': 1,
  'strerror.errno': 0,
  'refused.version': -EINVAL,
  'refused.scope': -EINVAL,
  'refused.signal': -EINVAL,
  'refused.descriptor': -EINVAL,
  'refused.target': -ESRCH,
  'refused.self': -EDEADLK,
  'refused.readonly': -EBADF,
  'refused.handle': 77,
  'refused.handle.late': 77,
  'late.request': 0,
  'late.log': 1,
  'late.reap': -ESRCH,
  'late.handle': -1,
  'file.request': 0,
  'file.poll': 1,
  'file.handle': -1,
  'target.lives': 0,
  'handle.foreign': -ENOTTY,
  'handle.foreign.kept': 1,
  'handle.closed': -EBADF,
  'pipe.request': 0,
  'pending.request': 0,
  'pending.wait': 0,
  'pending.poll': 0,
  'pending.closeonexec': 1,
  'pending.second': -EBUSY,
  'pending.reap': -EAGAIN,
  'pending.reap.kept': 1,
  'done.wait': 1,
  'done.log': 0,
  'done.reap': 0,
  'done.handle': -1,
  'done.again': EBADF,
};

interface Difference {
  /** `undefined`: the fact is not reached. */
  readonly value: number | undefined | 'either';
  readonly reason: string;
}

export type Differences = Readonly<Record<string, Difference>>;

const afterEarlyReap: Difference = { value: undefined, reason: 'the early reap has closed the handle' };

/** What genuine BLCR does otherwise, and so the library that plays its part. */
export const GENUINE: Differences = {
  'refused.handle.late': { value: 'either', reason: 'not observed: these requests have reached the kernel module' },
  'late.log': {
    value: 'either',
    reason: 'not observed: whether the kernel module says something of a target that is none',
  },
  'pipe.request': { value: -EINVAL, reason: 'the kernel module takes files with a name only' },
  'pending.reap.kept': { value: 0, reason: 'an early reap closes the handle, whatever the header says' },
  'done.wait': afterEarlyReap,
  'done.log': afterEarlyReap,
  'done.reap': afterEarlyReap,
  'done.handle': afterEarlyReap,
  'done.again': afterEarlyReap,
};

/** Closes what a test run has open but the standard descriptors: the target of the requests must have nothing else. */
const WITHOUT_DESCRIPTORS =
  'for d in /proc/$$/fd/*; do n=$' + '{d##*/}; [ $n -gt 2 ] && eval "exec $n>&-"; done; exec "$@"';

export class Conformance {
  readonly #directory: string;
  readonly #program: string;
  readonly #limitMs: number;

  /**
   * @param directory For what is compiled and written.
   * @param source Path of conformance.c.
   * @param include Where libcr.h is.
   */
  constructor(directory: string, source: string, include: string, limitMs: number) {
    this.#directory = directory;
    this.#program = join(directory, 'conformance');
    this.#limitMs = limitMs;
    execFileSync(
      'gcc',
      ['-std=gnu11', '-O1', '-Wall', '-Wextra', `-I${include}`, '-o', this.#program, source, '-ldl'],
      {
        stdio: 'inherit',
      },
    );
  }

  /**
   * Fails where `library` keeps to anything else than the contract with these differences.
   * @param under A command in front: our library is asked under a keeper, as jobs are; without one, each request has a keeper of its own, and
   * two of them may come to the same target.
   */
  check(library: string, differences: Differences, ...under: string[]): void {
    const facts = this.#ask(library, under);
    const isOpen = (name: string): boolean => differences[name]?.value === 'either';
    const found = Object.entries(facts).filter(([name]) => !name.startsWith('symbol.') && !isOpen(name));
    const expected = Object.entries(CONTRACT)
      .filter(([name]) => !isOpen(name))
      .map(([name, value]) => [name, name in differences ? differences[name]?.value : value] as const)
      .filter(([, value]) => value !== undefined);
    assert.deepEqual(Object.fromEntries(found), Object.fromEntries(expected));
    const missing = Object.entries(facts).filter(([name, value]) => name.startsWith('symbol.') && value !== 1);
    assert.deepEqual(missing, []);
  }

  #ask(library: string, under: readonly string[]): Record<string, number> {
    const place = mkdtempSync(join(this.#directory, 'place-'));
    const command = ['-c', WITHOUT_DESCRIPTORS, 'ask', ...under, this.#program, library, place];
    // LC_ALL: bash says something of a locale that a machine does not have, and nothing may be said.
    const env = { ...process.env, LC_ALL: 'C', SCRIPTED_LIBCR: 'delay=200;bytes=300000' };
    const { status, stdout, stderr } = spawnSync('bash', command, { encoding: 'utf8', timeout: this.#limitMs, env });
    assert.deepEqual([status, stderr], [0, ''], stdout);
    const facts = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' '));
    return Object.fromEntries(facts.map(([name, value]) => [name, Number(value)]));
  }
}
