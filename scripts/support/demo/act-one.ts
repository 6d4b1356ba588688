/** First act: xz loses its machine several times, and its output is what it would have been. */
import { execFileSync } from 'node:child_process';
import { constants, copyFileSync, existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkpointsOf, startOf } from '../event-log.ts';
import { Ledger } from './checkpoints.ts';
import { makeInput } from './input.ts';
import { EndedEarly, Incarnation } from './job.ts';
import { megabytes, say, seconds } from './narrative.ts';
import { commandOf, type Length, makeScratch, type Stage } from './stage.ts';

const LARGEST_INPUT = 800e6;
const APPLICATION = ['xz', '-6', '-T2', '--block-size=8MiB', '--keep', 'input.tar'];

interface Reference {
  readonly input: string;
  readonly output: string;
}

/** An input that keeps this machine busy long enough, and what xz makes of it when nobody disturbs it. */
function makeReference(stage: Stage, { smallestInput, shortestRunMs }: Length): Reference {
  const input = join(stage.directory, 'input.tar');
  const [program = '', ...args] = APPLICATION;
  for (let bytes = smallestInput; ; ) {
    makeInput(input, Math.ceil(bytes));
    say(`input: ${megabytes(statSync(input).size)} MB of this machine's programs and libraries`);
    rmSync(`${input}.xz`, { force: true });
    const start = performance.now();
    execFileSync(program, args, { cwd: stage.directory });
    const elapsed = performance.now() - start;
    say(
      `uninterrupted: ${APPLICATION.join(' ')} took ${seconds(elapsed)} s and made ${megabytes(statSync(`${input}.xz`).size)} MB`,
    );
    if (elapsed >= shortestRunMs || bytes > LARGEST_INPUT) return { input, output: `${input}.xz` };
    bytes *= (1.2 * shortestRunMs) / elapsed;
    say('this machine is quick: a larger input is needed to kill the job often enough');
  }
}

function startNode(stage: Stage, length: Length, number: number, input: string, marker: string): Incarnation {
  const scratch = makeScratch(stage, `node-${number}`);
  copyFileSync(input, join(scratch, 'input.tar'), constants.COPYFILE_FICLONE);
  const { chirpHost, chirpPort } = stage;
  const command = [
    commandOf(stage, 'blcr_wrapper'),
    chirpHost,
    String(chirpPort),
    String(length.periodMinutes),
    marker,
    ...APPLICATION,
  ];
  if (number === 1) say(`command: blcr_wrapper ${command.slice(1).join(' ')}`);
  return new Incarnation({ command, scratch, marker, watch: 'xz', log: join(stage.directory, 'wrapper.log') });
}

function reportStart(number: number, node: Incarnation): number {
  const started = startOf(node.events);
  if (started?.resumedFrom === undefined) {
    say(`node ${number}: the job starts from the beginning`);
    return 0;
  }
  const { resumedFrom, savedMs, restartMs } = started;
  say(
    `node ${number}: checkpoint #${resumedFrom} restarted in ${seconds(restartMs)} s; ${seconds(savedMs)} s of work saved`,
  );
  return savedMs;
}

async function loseNode(number: number, node: Incarnation): Promise<void> {
  // Not right behind a checkpoint: some work is to be lost.
  await sleep(700);
  const resumed = startOf(node.events)?.resumedFrom;
  const newest = checkpointsOf(node.events).at(-1)?.sequence;
  await node.killGroup();
  const goneMs = await node.untilGone();
  rmSync(node.scratch, { recursive: true });
  const origin = resumed === undefined ? '' : `, taken of the job that came out of #${resumed}`;
  say(
    `node ${number}: KILLED after checkpoint #${newest}${origin}; nothing was left after ${goneMs.toFixed(0)} ms; scratch deleted`,
  );
}

/** @returns whether everything was as it should be. */
export async function actOne(stage: Stage, length: Length): Promise<boolean> {
  for (let smallestInput = length.smallestInput; ; smallestInput *= 2) {
    try {
      return await perform(stage, { ...length, smallestInput });
    } catch (error) {
      if (!(error instanceof EndedEarly) || smallestInput > LARGEST_INPUT) throw error;
      say(`${error.message}: once more with a larger input`);
    }
  }
}

async function perform(stage: Stage, length: Length): Promise<boolean> {
  const { input, output } = makeReference(stage, length);
  const marker = `demo-xz-${process.pid}-${length.smallestInput / 1e6}`;
  const ledger = new Ledger();
  let isGood = true;
  for (let number = 1; ; ++number) {
    const node = startNode(stage, length, number, input, marker);
    await node.until(`node ${number} runs the job`, (events) => startOf(events) !== undefined);
    const savedMs = reportStart(number, node);
    if (number > 1 && savedMs === 0) isGood = false;
    if (number <= length.kills) {
      await node.until(
        `node ${number} has a checkpoint`,
        (events) => checkpointsOf(events).length >= (number === 1 ? 2 : 1),
      );
      ledger.add(number, node);
      await loseNode(number, node);
      continue;
    }
    const status = await node.end();
    ledger.add(number, node);
    say(`node ${number}: the job ended with ${typeof status === 'number' ? `exit status ${status}` : status}`);
    ledger.print();
    const isSame = verdict(status, join(node.scratch, 'input.tar.xz'), output);
    return isStoreClean(stage, marker) && isSame && isGood;
  }
}

/** The job is over: nothing of it may be left on the server. */
function isStoreClean(stage: Stage, id: string): boolean {
  const { chirpHost, chirpPort } = stage;
  const list = ['ls', '--store', `chirp://${chirpHost}:${chirpPort}/`];
  const left = execFileSync(commandOf(stage, 'blcr'), list, { encoding: 'utf8' }).includes(id);
  say(left ? 'act one: FAILED: the store still holds the job' : 'blcr ls: the store holds nothing of the job any more');
  return !left;
}

function verdict(status: number | string, made: string, expected: string): boolean {
  if (status !== 0 || !existsSync(made)) {
    say(`act one: FAILED: ${status === 0 ? 'there is no output' : `the wrapper ended with ${status}`}`);
    return false;
  }
  try {
    execFileSync('cmp', [made, expected]);
    execFileSync('xz', ['--test', made]);
  } catch (error) {
    say(`act one: FAILED: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
  say(`act one: cmp says that the ${megabytes(statSync(made).size)} MB are byte-identical to the uninterrupted run's`);
  return true;
}
