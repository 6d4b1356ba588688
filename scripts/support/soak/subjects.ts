/** What is checkpointed at random moments: real programs, and the victims that verify themselves. */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { obstacle, PROGRAMS } from '../../../test/support/programs.ts';

export interface Subject {
  readonly name: string;
  /** @param rounds For programs that compute in rounds; others take no notice. */
  command(rounds: number, directory: string): readonly [string, ...string[]];
  prepare?(directory: string): void;
  /** `rounds`: until it is told that it is enough; `go`: the same for victims; `itself`: its work is limited. */
  readonly ends: 'rounds' | 'go' | 'itself';
  /** Its output differs from run to run: the exit status is what counts. */
  readonly statusOnly?: boolean;
  /** A life that was killed must have died inside the stop: a context does not bring back what is changed in place. */
  readonly changesFiles?: boolean;
  /** Addresses, ports or names that two copies cannot have at once. */
  readonly isUnique?: boolean;
}

const victims = fileURLToPath(new URL('../../../build/native/victims/', import.meta.url));
const victim = (file: string): string => join(victims, `victim_${file}`);

/** What two copies on one host would fight for. */
const UNIQUE = new Set(['python asyncio', 'node', 'sqlite3', 'tcl', 'erlang', 'Open MPI', 'valgrind']);

function realPrograms(): readonly Subject[] {
  return PROGRAMS.filter((program) => obstacle(program) === false).map((program) => ({
    ...program,
    ends: 'rounds',
    isUnique: UNIQUE.has(program.name),
  }));
}

/** Name and outcome of every part of victim_holds. */
function held(): readonly Subject[] {
  const list = execFileSync(victim('holds'), ['--list'], { encoding: 'utf8' }).trim().split('\n');
  const names = list.filter((line) => line.endsWith('\trestored')).map((line) => line.split('\t', 1)[0] ?? '');
  return names.map((name) => ({
    // What they make with O_EXCL after a checkpoint is there in the next life.
    ...{ name: `holds ${name}`, ends: 'go', isUnique: true, changesFiles: true },
    command: () => [victim('holds'), name],
  }));
}

const SELF_VERIFYING = ['clocks', 'interrupted', 'processes', 'registers', 'threads', 'socket_calls'];

function verifying(): readonly Subject[] {
  const plain = SELF_VERIFYING.map(
    (name): Subject => ({ name: `victim ${name}`, ends: 'go', isUnique: true, command: () => [victim(name)] }),
  );
  const files: Subject = {
    ...{ name: 'victim files', ends: 'go', changesFiles: true },
    command: () => [victim('files')],
  };
  const blocking: Subject = { name: 'victim blocking', ends: 'itself', command: () => [victim('blocking'), '2500'] };
  return [...plain, files, blocking];
}

const MAKEFILE = `all: $(foreach n,1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24,part-$(n))
\tcat $^ | sha256sum
part-%:
\tseq $* 20000 | sort -r | sha256sum > $@; sleep 0.1
`;

function limited(): readonly Subject[] {
  const xz: Subject = {
    ...{ name: 'xz', ends: 'itself' },
    prepare: (directory) => {
      const lines = Array.from({ length: 300_000 }, (_, index) => `${index * 7919} ${(index * 31) % 977}\n`);
      writeFileSync(join(directory, 'input'), lines.join(''));
    },
    command: (_, directory) => ['/usr/bin/xz', '-9', '-T2', '--block-size=1MiB', '-c', join(directory, 'input')],
  };
  const make: Subject = {
    ...{ name: 'make -j4', ends: 'itself', changesFiles: true },
    prepare: (directory) => writeFileSync(join(directory, 'Makefile'), MAKEFILE),
    command: () => ['/usr/bin/make', '-s', '-j4'],
  };
  const stress: Subject = {
    ...{ name: 'stress-ng', ends: 'itself', statusOnly: true },
    command: (_, directory) => {
      const work = ['--cpu', '1', '--vm', '1', '--vm-bytes', '8m', '--pipe', '1', '--switch', '1', '--fork', '1'];
      return ['/usr/bin/stress-ng', ...work, '--verify', '-t', '5', '--temp-path', directory, '-q'];
    },
  };
  const needs = { xz: '/usr/bin/xz', 'make -j4': '/usr/bin/make', 'stress-ng': '/usr/bin/stress-ng' };
  return [xz, make, stress].filter(({ name }) => existsSync(needs[name as keyof typeof needs]));
}

export function subjects(): readonly Subject[] {
  return [...realPrograms(), ...verifying(), ...held(), ...limited()];
}
