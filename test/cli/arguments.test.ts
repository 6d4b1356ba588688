/** Wrong arguments: usage, exit 64, and nothing started. */

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { classicCommand } from '../../lib/cli/classic.ts';
import type { Command } from '../../lib/cli/command.ts';
import { loadCommand } from '../../lib/cli/dispatch.ts';
import { formatError } from '../../lib/cli/error-block.ts';
import { exitCodeOf } from '../../lib/cli/exit.ts';
import { requireNode } from '../../lib/cli/node-version.ts';
import { type Finished, runCli } from './run-cli.ts';

const LIMITS = { timeout: 120_000 };

async function inEmptyDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'blcr-cli-'));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const run = (...args: string[]): readonly ['blcr', ...string[]] => ['blcr', 'run', ...args];
const submit = (...args: string[]): readonly ['blcr', ...string[]] => [
  ...(['blcr', 'submit', '--store', 'chirp://host/', '--wrapper', '/bin/true'] as const),
  ...args,
];
const good = ['--store', 'file:///nowhere', '--id', 'a'];
const touch = ['touch', 'started'];

const WRONG: Readonly<Record<string, readonly ['blcr' | 'blcr_wrapper', ...string[]]>> = {
  'no command': ['blcr'],
  'an unknown command': ['blcr', 'explode'],
  'run without a program': run(...good),
  'run without a store': run('--id', 'a', ...touch),
  'run without an id': run('--store', 'file:///nowhere', ...touch),
  'a store of unknown kind': run('--store', 'http://nowhere/', '--id', 'a', ...touch),
  'a store that is no URL': run('--store', 'nowhere', '--id', 'a', ...touch),
  'an unknown option': run(...good, '--evrey', '3m', ...touch),
  'a period without a unit': run(...good, '--every', '60', ...touch),
  'a period that is none': run(...good, '--every', 'often', ...touch),
  'a period too short': run(...good, '--every', '1ms', ...touch),
  'keep none': run(...good, '--keep', '0', ...touch),
  'keep some': run(...good, '--keep', 'some', ...touch),
  'an unknown policy for connections': run(...good, '--tcp', 'keep', ...touch),
  'a rate that is none': run(...good, '--max-rate', 'fast', ...touch),
  'a rate too small': run(...good, '--max-rate', '10', ...touch),
  'checkpoints carried by nobody': run('--store', 'condor:', '--id', 'a', ...touch),
  'an unknown snapshot': run(...good, '--snapshot', 'lazy', ...touch),
  'unknown files': run(...good, '--files', 'some', ...touch),
  'a requeue code out of range': run(...good, '--requeue-code', '256', ...touch),
  'a key that is not there': run(...good, '--key-file', '/nowhere/key', ...touch),
  'a key of a wrong size': run(...good, '--key-file', '/etc/hostname', ...touch),
  'an id with a slash': run('--store', 'file:///nowhere', '--id', 'a/b', ...touch),
  'an id that begins with a dot': run('--store', 'file:///nowhere', '--id', '..', ...touch),
  'a program that is not there': run(...good, 'no-such-program'),
  'a program that is no program': run(...good, '/etc/passwd'),
  'submit without a program': submit(),
  'submit of a program that is not there': submit('--', './nothing'),
  'submit of a file that is not there': submit('--convert', '/nowhere/mine.sub'),
  'submit with a store that is no URL': submit('--store', 'nowhere', '--', '/bin/true'),
  'submit with a login of unknown kind': submit('--auth', 'password', '--', '/bin/true'),
  'submit with a period too short': submit('--every', '1ms', '--', '/bin/true'),
  'submit with a rate that is none': submit('--max-rate', 'fast', '--', '/bin/true'),
  'submit with an end that is too soon': submit('--vacate-after', '0s', '--', '/bin/true'),
  'submit with an input that is not there': submit('--files', 'nothing', '--', '/bin/true'),
  'ls without a store': ['blcr', 'ls'],
  'ls with too much': ['blcr', 'ls', 'x', '--store', 'file:///nowhere'],
  'show without an id': ['blcr', 'show', '--store', 'file:///nowhere'],
  'verify without an id': ['blcr', 'verify', '--store', 'file:///nowhere'],
  'rm without an id': ['blcr', 'rm', '--store', 'file:///nowhere'],
  'checkpoint without a process': ['blcr', 'checkpoint'],
  'checkpoint of no number': ['blcr', 'checkpoint', 'init'],
  'checkpoint with two scopes': ['blcr', 'checkpoint', '1', '--tree', '--pid'],
  'checkpoint with two ends': ['blcr', 'checkpoint', '1', '--kill', '--term'],
  'restart without a file': ['blcr', 'restart'],
  'restart of a file that is not there': ['blcr', 'restart', '/nowhere/context'],
  'restart with half a relocation': ['blcr', 'restart', '/etc/passwd', '--relocate', '/old'],
  'doctor with an argument': ['blcr', 'doctor', 'x'],
  'the wrapper without arguments': ['blcr_wrapper'],
  'the wrapper without an application': ['blcr_wrapper', 'localhost', '9094', '60', 'a'],
  'the wrapper with a bad port': ['blcr_wrapper', 'localhost', '0', '60', 'a', ...touch],
  'the wrapper with a bad period': ['blcr_wrapper', 'localhost', '9094', 'x', 'a', ...touch],
  'the wrapper with a period of nothing': ['blcr_wrapper', 'localhost', '9094', '0', 'a', ...touch],
  'the wrapper with a bad id': ['blcr_wrapper', 'localhost', '9094', '60', 'a b', ...touch],
  'the wrapper with a bad host': ['blcr_wrapper', 'local/host', '9094', '60', 'a', ...touch],
};

async function commandFor(program: string, name: string | undefined): Promise<Command | undefined> {
  return program === 'blcr_wrapper' ? classicCommand : await loadCommand(name);
}

for (const [what, [program, ...args]] of Object.entries(WRONG)) {
  const command = await commandFor(program, args[0]);
  if (command === undefined) continue;
  test(what, () =>
    inEmptyDirectory(async (directory) => {
      const before = process.cwd();
      process.chdir(directory);
      try {
        await assert.rejects(command.run(program === 'blcr' ? args.slice(1) : args), (error) => {
          assert.equal(exitCodeOf(error), 64, String(error));
          assert.match(formatError(program, error), /^ {2}code: ERR_/m);
          return true;
        });
      } finally {
        process.chdir(before);
      }
      assert.deepEqual(readdirSync(directory), []);
    }),
  );
}

test('as processes: one block on stderr, nothing on stdout, exit 64', LIMITS, async () => {
  for (const what of [
    'no command',
    'an unknown command',
    'run without a program',
    'the wrapper with a bad port',
  ] as const) {
    const [program = 'blcr', ...args] = WRONG[what] ?? [];
    const { code, stderr, stdout } = await runCli(program === 'blcr' ? 'blcr' : 'blcr_wrapper', args);
    assert.equal(code, 64, stderr);
    assert.match(stderr, /^blcr.*\n {2}code: ERR_USAGE\n\nusage: blcr/);
    assert.ok(stderr.split('\n').length < 25, stderr);
    assert.equal(stdout, '');
  }
});

const shows = (result: Finished, pattern: RegExp): void => {
  assert.equal(result.code, 0, result.stderr);
  assert.match(result.stdout, pattern);
};

test('help and version', LIMITS, async () => {
  shows(await runCli('blcr', ['--help']), /doctor/);
  shows(await runCli('blcr', ['help', 'run']), /--store-wait/);
  shows(await runCli('blcr', ['checkpoint', '--help']), /--session/);
  shows(await runCli('blcr_wrapper', ['--help']), /<period in minutes>/);
  shows(await runCli('blcr', ['--version']), /^\d+\.\d+\.\d+\n$/);
});

test('no libcr: exit 75, what was tried, nothing started', LIMITS, async () => {
  await inEmptyDirectory(async (directory) => {
    writeFileSync(join(directory, 'not-a-library'), 'x');
    const env = { NODE_BLCR_LIBCR: join(directory, 'not-a-library') };
    const args = ['run', '--store', `file://${directory}/store`, '--id', 'a', 'touch', 'started'];
    const { code, stderr } = await runCli('blcr', args, { cwd: directory, env });
    assert.equal(code, 75, stderr);
    assert.match(stderr, /not-a-library/);
    assert.deepEqual(readdirSync(directory), ['not-a-library']);
  });
});

test('a Node.js that is too old is refused before anything begins, and the batch system may try another node', () => {
  for (const version of ['20.5.0', '20.20.2', '22.0.0']) requireNode(version);
  for (const version of ['18.20.0', '20.4.0']) {
    assert.throws(() => requireNode(version), {
      code: 'ERR_JOB_NODE',
      exitCode: 75,
      message: /Node\.js 20\.5 or newer/,
    });
  }
});
