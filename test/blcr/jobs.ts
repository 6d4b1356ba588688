/**
 * The main job: run, periodic checkpoints to a real chirp_server, eviction, resumption; the output is an uninterrupted run's. The programs wait
 * half-way until they have been evicted, however slow the machine is.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ChirpServer } from '../support/chirp-server.ts';
import { compile, PATIENCE_MS, script, temporaryDirectory } from './machine.ts';

const LIMITS = { timeout: PATIENCE_MS };
/** Names a directory in /tmp, where others may run the same suite. */
const ID = `suite-${process.pid}`;
const BLCR = new URL('../dist/cli/main.js', import.meta.url).pathname;

async function startChirp(context: TestContext): Promise<string> {
  const server = await ChirpServer.start();
  context.after(() => server.stop());
  return `chirp://${server.host}:${server.port}/jobs`;
}

interface Events {
  readonly event: string;
  readonly reason?: string;
  readonly resumedFrom?: number;
}

class Run {
  readonly #child: ChildProcess;
  readonly #log: string;
  readonly exit: Promise<number | null>;

  constructor(store: string, every: string, scratch: string, output: string, program: readonly string[]) {
    mkdirSync(scratch, { recursive: true });
    this.#log = join(scratch, '.blcr/events.log');
    const run = [BLCR, 'run', '--store', store, '--id', ID, '--every', every, '--first', every, '--'];
    const words = [process.execPath, ...run, ...program].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
    this.#child = spawn('sh', ['-c', `exec ${words.join(' ')} >> '${output}'`], {
      cwd: scratch,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    this.exit = once(this.#child, 'exit').then(([code]) => code as number | null);
  }

  events(): Events[] {
    if (!existsSync(this.#log)) return [];
    const lines = readFileSync(this.#log, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Events);
  }

  async until(isIt: (event: Events) => boolean): Promise<Events> {
    for (;;) {
      const found = this.events().find(isIt);
      if (found !== undefined) return found;
      assert.equal(this.#child.exitCode, null, 'the job ended too early');
      await delay(50);
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** @param program Gets the path of the gate. */
async function survives(context: TestContext, program: (gate: string) => readonly string[]): Promise<void> {
  const base = temporaryDirectory(context);
  mkdirSync(join(base, 'plain'));
  const gate = join(base, 'gate');
  const [command = '', ...args] = program(gate);
  writeFileSync(gate, '');
  const expected = execFileSync(command, args, { cwd: join(base, 'plain'), encoding: 'utf8' });
  rmSync(gate);
  const store = await startChirp(context);
  const output = join(base, 'output');
  const first = new Run(store, '1s', join(base, 'one'), output, [command, ...args]);
  await first.until(({ event }) => event === 'checkpoint');
  first.kill('SIGTERM');
  assert.equal(await first.exit, 85);
  writeFileSync(gate, '');
  const second = new Run(store, '1h', join(base, 'two'), output, [command, ...args]);
  assert.equal(await second.exit, 0);
  const started = second.events().find(({ event }) => event === 'started');
  assert.notEqual(started?.resumedFrom, undefined);
  assert.equal(readFileSync(output, 'utf8'), expected);
}

test('a compressor', LIMITS, (context) => survives(context, (gate) => ['python3', script('compress.py'), '40', gate]));

test('threads', LIMITS, async (context) => {
  const threads = compile('threads', temporaryDirectory(context));
  await survives(context, (gate) => [threads, '400', gate]);
});

// Long sleeps: a process that has just begun has no libcr yet, and fails the checkpoint of the whole tree.
const PIPELINE =
  'for i in $(seq 80); do echo $i; until [ $i != 40 ] || [ -e "$0" ]; do sleep 2; done; done | while read n; do echo "got $n"; done';

test('a pipeline of bash', LIMITS, (context) => survives(context, (gate) => ['bash', '-c', PIPELINE, gate]));
