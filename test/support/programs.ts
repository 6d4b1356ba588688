/**
 * Programs that nobody wrote for checkpointing: each computes in rounds, with a line `round …` of output for each and `end …` at last, the same in
 * every run. They end after so many rounds, or in the one in which their directory has a file `enough`.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Program {
  readonly name: string;
  /** What must be installed. */
  readonly needs: readonly string[];
  /** @param directory Where it runs, and where `prepare` has put things. */
  command(rounds: number, directory: string): readonly [command: string, ...args: string[]];
  /** It changes files in place, which a context alone does not bring back: they must be as they were when it was checkpointed. */
  readonly changesFiles?: boolean;
  /** What happens to files of the program `pid` while it has no life. */
  meanwhile?(pid: number): void;
  /** Done once in a directory before it is run there. */
  prepare?(directory: string): void;
}

const PYTHON = '/usr/bin/python3';
const file = (name: string): string => fileURLToPath(new URL(`../programs/${name}`, import.meta.url));

/** A script and its interpreter, the number of rounds being its argument. */
export function script(name: string, interpreter: string, path: string, ...options: string[]): Program {
  return { name, needs: [interpreter], command: (rounds) => [interpreter, ...options, file(path), String(rounds)] };
}

/** A program in C, compiled into its directory, that is run by another one. */
function compiled(name: string, compiler: string, path: string, runner: readonly [string, ...string[]]): Program {
  const program = (directory: string): string => join(directory, basename(path, '.c'));
  return {
    name,
    needs: [compiler, runner[0]],
    command: (rounds, directory) => [...runner, program(directory), String(rounds)],
    prepare: (directory) => void execFileSync(compiler, ['-O1', '-o', program(directory), file(path)]),
  };
}

/** As any other Java machine of this user does when it starts. */
function removeJavaCounters(pid: number): void {
  for (const name of readdirSync('/tmp').filter((found) => found.startsWith('hsperfdata_')))
    rmSync(`/tmp/${name}/${pid}`, { force: true });
}

/** More processes than processors, and nothing of a user's that root should not do. */
const MPI_OPTIONS = ['-np', '3', '--oversubscribe', '--allow-run-as-root'];

/** For Node of any release: timers, files, an HTTP server and a child process. */
export const NODE_SCRIPT = 'server.mjs';

export const PROGRAMS: readonly Program[] = [
  script('python threads', PYTHON, 'threads.py'),
  script('python multiprocessing', PYTHON, 'processes.py'),
  script('python asyncio', PYTHON, 'events.py'),
  {
    ...script('python numpy', PYTHON, 'matrices.py'),
    needs: [PYTHON, '/usr/lib/python3/dist-packages/numpy'],
  },
  script('R', '/usr/bin/Rscript', 'regression.R'),
  script('octave', '/usr/bin/octave-cli', 'matrices.m'),
  {
    name: 'java',
    needs: ['/usr/bin/java', '/usr/bin/javac'],
    command: (rounds, directory) => [
      '/usr/bin/java',
      '-Xmx64m',
      '-XX:+UseSerialGC',
      // It would say in its output that its file in /tmp, named by its process id, is in use: by a restarted one with the same id.
      '-Xlog:disable',
      '-cp',
      directory,
      'Pool',
      String(rounds),
    ],
    prepare: (directory) => void execFileSync('/usr/bin/javac', ['-d', directory, file('Pool.java')]),
    meanwhile: removeJavaCounters,
  },
  script('bash', '/bin/bash', 'pipelines.bash'),
  script('dash', '/bin/dash', 'pipelines.sh'),
  {
    name: 'gawk',
    needs: ['/usr/bin/gawk'],
    command: (rounds) => ['/usr/bin/gawk', '-v', `rounds=${rounds}`, '-f', file('words.awk')],
  },
  script('perl', '/usr/bin/perl', 'children.pl'),
  {
    ...script('sqlite3', '/bin/dash', 'database.sh'),
    ...{ needs: ['/bin/dash', '/usr/bin/sqlite3', '/usr/bin/stdbuf'], changesFiles: true },
  },
  script('node', process.execPath, NODE_SCRIPT),
  script('lua', '/usr/bin/lua5.4', 'generators.lua'),
  script('tcl', '/usr/bin/tclsh', 'events.tcl'),
  { ...script('go', '/bin/bash', 'filter.sh'), needs: ['/usr/bin/fzf'] },
  script('ruby', '/usr/bin/ruby', 'queues.rb'),
  script('php', '/usr/bin/php', 'streams.php'),
  script('erlang', '/usr/bin/escript', 'actors.erl'),
  script('sbcl', '/usr/bin/sbcl', 'threads.lisp', '--script'),
  compiled('Open MPI', '/usr/bin/mpicc', 'sums.c', ['/usr/bin/mpirun', ...MPI_OPTIONS]),
  compiled('valgrind', '/usr/bin/gcc', 'trees.c', ['/usr/bin/valgrind', '-q']),
  {
    ...script('redis', '/bin/dash', 'counters.sh'),
    needs: ['/bin/dash', '/usr/bin/redis-server', '/usr/bin/redis-cli'],
    changesFiles: true,
  },
  script('guile', '/usr/bin/guile', 'continuations.scm', '--no-auto-compile'),
];

/** Why a program cannot be run here; false when it can. */
export function obstacle({ needs }: Program): string | false {
  const missing = needs.filter((path) => !existsSync(path));
  return missing.length > 0 && `${missing.join(', ')} is not installed`;
}
