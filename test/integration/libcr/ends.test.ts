/** Pipes and FIFOs whose other ends, or whose names, are elsewhere: as BLCR's utilities restart them. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { ended, Workshop, waitUntil } from '../native/tools.ts';
import { build } from './build.ts';

const LIMIT = { timeout: 60_000 };
const UNSUPPORTED = 52;
const EBUSY = 16;
const shop = new Workshop();
let program = '';

before(() => {
  program = build(shop, 'ends');
});
after(() => shop.clean());

/** Two pipes to a program, whose other ends are here. */
class Line {
  readonly #to: number;
  readonly #from: number;
  readonly #theirs: readonly [number, number];

  constructor(name: string) {
    execFileSync('mkfifo', [shop.path(`${name}.to`), shop.path(`${name}.from`)]);
    const { O_RDWR, O_NONBLOCK } = constants;
    this.#to = openSync(shop.path(`${name}.to`), O_RDWR);
    this.#from = openSync(shop.path(`${name}.from`), O_RDWR | O_NONBLOCK);
    this.#theirs = [openSync(shop.path(`${name}.to`), 'r'), openSync(shop.path(`${name}.from`), 'w')];
  }

  /** Starts a utility with the pipes as descriptors 3 and 4. */
  start(tool: string, args: readonly string[], output: string): ChildProcess {
    const child = shop.start(tool, args, output, this.#theirs);
    for (const fd of this.#theirs) closeSync(fd);
    return child;
  }

  say(text: string): void {
    writeSync(this.#to, text);
  }

  async ask(question: string): Promise<string> {
    this.say(question);
    const answer = Buffer.alloc(100);
    let length = 0;
    await waitUntil(() => {
      try {
        length = readSync(this.#from, answer);
      } catch {
        return false; // nothing there yet
      }
      return length > 0;
    }, `an answer to ${question}`);
    return answer.toString('utf8', 0, length);
  }

  end(): void {
    closeSync(this.#to);
    closeSync(this.#from);
  }
}

test('FIFOs come back with their names, or without, and with what is in them', LIMIT, async () => {
  const child = shop.start('cr_run', [program, 'fifos'], 'fifos');
  await shop.waitForLines('fifos', 1);
  await shop.checkpoint(child, 'fifos.context', '--kill');
  await ended(child);
  for (const name of ['named', 'linked', 'other']) rmSync(shop.path(name));
  writeFileSync(shop.path('named'), 'something else');
  const refused = shop.run('cr_restart', ['fifos.context']);
  assert.match(refused.text, /named was a FIFO/);
  assert.equal(readFileSync(shop.path('named'), 'utf8'), 'something else');
  rmSync(shop.path('named'));
  writeFileSync(shop.path('go'), '');
  const { status, text } = shop.run('cr_restart', ['fifos.context']);
  assert.deepEqual([status, text], [0, '']);
  assert.equal(shop.read('fifos'), 'up\ngood\n');
  // The second time they are there, one name excepted.
  rmSync(shop.path('other'));
  assert.equal(shop.run('cr_restart', ['fifos.context']).status, 0);
  rmSync(shop.path('go'));
});

test('a pipe to the outside becomes the one that cr_restart has under its number', LIMIT, async () => {
  const line = new Line('first');
  const child = line.start('cr_run', [program, 'answers'], 'answers');
  await shop.waitForLines('answers', 1);
  assert.equal(await line.ask('one'), 'answer: one');
  const refused = shop.run('cr_checkpoint', ['-f', 'no.context', '--pipes', 'refuse', String(child.pid)]);
  assert.equal(refused.status, UNSUPPORTED);
  assert.match(refused.text, /descriptor [34] .*its other end is held outside the job/);
  await shop.checkpoint(child, 'answers.context');
  assert.equal(await line.ask('two'), 'answer: two');
  child.kill('SIGKILL');
  await ended(child);
  line.end();
  for (const name of ['second', 'third']) {
    const other = new Line(name);
    const again = other.start('cr_restart', ['answers.context'], 'answers');
    assert.equal(await other.ask('three'), 'answer: three');
    other.end();
    assert.equal((await ended(again)).code, 5);
  }
  // Without such descriptors standard input and output take their place.
  const { status, text } = shop.run('cr_restart', ['--kmsg-warning', 'answers.context']);
  assert.equal(status, 5);
  assert.match(text, /descriptor 3, a pipe to the outside: standard input/);
});

test('what waits in a pipe from the outside would be lost: refused', LIMIT, async () => {
  const line = new Line('waiting');
  const child = line.start('cr_run', [program, 'waiting'], 'waiting');
  await shop.waitForLines('waiting', 1);
  line.say('unread');
  const { status, text } = shop.run('cr_checkpoint', ['-f', 'no.context', String(child.pid)]);
  assert.deepEqual([status, text.includes('6 bytes from outside the job wait in it')], [UNSUPPORTED, true], text);
  child.kill('SIGKILL');
  await ended(child);
  line.end();
});

test('a job that still runs is not restarted under its own numbers', LIMIT, async () => {
  const child = shop.start('cr_run', ['sh', '-c', 'echo up; while [ ! -e end ]; do sleep 0.02; done; exit 6'], 'busy');
  await shop.waitForLines('busy', 1);
  await shop.checkpoint(child, 'busy.context');
  const busy = shop.run('cr_restart', ['busy.context']);
  assert.deepEqual([busy.status, /still running/.test(busy.text)], [EBUSY, true]);
  assert.equal(shop.run('cr_restart', ['busy.context', '--run-on-fail-temp=exit 44']).status, 44);
  assert.equal(shop.run('cr_restart', ['busy.context', '--no-restore-pid', '--restore-sid']).status, EBUSY);
  const copy = shop.start(
    'cr_restart',
    ['busy.context', '--no-restore-pid', '--run-on-success=echo up >copy'],
    'copied',
  );
  await shop.waitForLines('copy', 1);
  writeFileSync(shop.path('end'), '');
  assert.equal((await ended(copy)).code, 6);
  assert.equal((await ended(child)).code, 6);
  assert.equal(shop.run('cr_restart', ['busy.context']).status, 6);
});
