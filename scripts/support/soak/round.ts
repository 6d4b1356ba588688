/** One program's run with checkpoints at random moments, and its verdict. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { listDescendants, trySignal } from '../../../lib/job/process-tree.ts';
import { errorCode, errorMessage } from '../../../lib/util/error-facts.ts';
import {
  checkpointTo,
  type Ending,
  endOf,
  type Life,
  outputPath,
  restartFrom,
  startIn,
} from '../../../test/support/interrupted.ts';
import { seeded } from './random.ts';
import { standingOf } from './standing.ts';
import type { Subject } from './subjects.ts';

/** What becomes of the program with a checkpoint. */
const FATES = [
  'runs on, forked',
  'runs on, stop and copy',
  'dies in the stop',
  'is killed later',
  'stands by, its pids taken',
] as const;
export type Fate = (typeof FATES)[number];

export interface Verdict {
  readonly subject: string;
  readonly seed: number;
  readonly taken: readonly Fate[];
  /** Checkpoints that were refused, by reason. The program ran on. */
  readonly refused: readonly string[];
  /** Undefined when the run was as an uninterrupted one. */
  readonly wrong: string | undefined;
  /** Why the uninterrupted run is no measure: it failed itself, so that the round says nothing of checkpoints, good or bad. */
  readonly controlFailed?: string | undefined;
}

const ENDLESS = 1_000_000;
/** Of one step. Not of the round: where other jobs leave it a fifth of a processor, two hundred processes are restarted in twenty seconds. */
const LIMIT_MS = 120_000;

/** Files that say that a program may end: of rounds, and of victims. */
function letEnd(directory: string): void {
  for (const name of ['enough', 'go']) writeFileSync(join(directory, name), '');
}

/** Victims want to have seen something of their last life. */
async function letGo(directory: string): Promise<void> {
  await delay(1000);
  letEnd(directory);
}

function place(subject: Subject, directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
  subject.prepare?.(directory);
}

async function uninterrupted(subject: Subject, directory: string, rounds: number): Promise<Ending> {
  place(subject, directory);
  const life = await startIn(directory, subject.command(rounds, directory));
  try {
    if (subject.ends === 'go') await letGo(directory);
    return await inTime(endOf(directory, life), 'the uninterrupted run');
  } finally {
    life.kill();
  }
}

/** @throws when `work` takes too long. */
function inTime<T>(work: Promise<T>, what: string): Promise<T> {
  const late = delay(LIMIT_MS, undefined, { ref: false }).then(() => Promise.reject(new Error(`no end: ${what}`)));
  return Promise.race([work, late]);
}

function difference(subject: Subject, whole: Ending, interrupted: Ending, complaint: string): string | undefined {
  const same = (Object.keys(whole.status) as (keyof Ending['status'])[]).every(
    (key) => whole.status[key] === interrupted.status[key],
  );
  if (same && (subject.statusOnly === true || whole.output === interrupted.output)) return undefined;
  const show = ({ status, output }: Ending): string => `${status.signal ?? status.exitCode}\n${output.slice(-1500)}`;
  return `uninterrupted: ${show(whole)}\ninterrupted: ${show(interrupted)}\n${complaint.slice(-1500)}`;
}

/** Stops every process of a life, whatever it starts meanwhile. */
async function standStill(life: Life): Promise<void> {
  for (let known = -1; ; ) {
    const members = listDescendants(life.root);
    for (const pid of members) trySignal(pid, 'SIGSTOP');
    if (members.length === known) return;
    known = members.length;
    await delay(5);
  }
}

class Round {
  readonly #subject: Subject;
  readonly #directory: string;
  readonly #random;
  readonly taken: Fate[] = [];
  readonly refused: string[] = [];
  readonly #bystanders: Life[] = [];
  #contexts = 0;
  #life: Life | undefined;

  constructor(subject: Subject, directory: string, seed: number) {
    this.#subject = subject;
    this.#directory = directory;
    place(subject, directory);
    this.#random = seeded(seed);
  }

  async run(): Promise<Ending> {
    let life = await this.#step('its start', startIn(this.#directory, this.#subject.command(ENDLESS, this.#directory)));
    this.#life = life;
    let isOver = false;
    void life.exit.then(() => {
      isOver = true;
    });
    for (let count = this.#random.between(1, 6); count > 0 && !isOver; count--) {
      await delay(this.#random.pick([0, this.#random.between(0, 50), this.#random.between(0, 600)]));
      const next = await this.#checkpoint(life, this.#choose());
      if (next === life) continue;
      this.#life = life = next;
      isOver = false;
      void life.exit.then(() => {
        isOver = true;
      });
    }
    await delay(this.#random.between(0, 300));
    await (this.#subject.ends === 'go' ? letGo(this.#directory) : letEnd(this.#directory));
    return await this.#step('its end', endOf(this.#directory, life));
  }

  kill(): void {
    for (const one of this.#bystanders) one.kill();
    this.#life?.kill();
  }

  /** What its program does, for a round that has failed. */
  standing(): string {
    return this.#life === undefined ? '' : standingOf(this.#life.root);
  }

  async #step<T>(what: string, work: Promise<T>): Promise<T> {
    return await inTime(work, `${what} (${this.#contexts} contexts)`);
  }

  #choose(): Fate {
    const { changesFiles, isUnique } = this.#subject;
    const possible = FATES.filter((fate) => {
      if (fate === 'is killed later') return changesFiles !== true;
      return fate !== 'stands by, its pids taken' || (changesFiles !== true && isUnique !== true);
    });
    return this.#random.pick(possible);
  }

  async #write(context: string, life: Life, fate: Fate): Promise<void> {
    await checkpointTo(
      context,
      life,
      fate === 'dies in the stop',
      fate === 'runs on, stop and copy' ? 'plain' : 'fork',
    );
  }

  /** The life that goes on. */
  async #checkpoint(life: Life, fate: Fate): Promise<Life> {
    const context = join(this.#directory, `context-${this.#contexts++}`);
    try {
      await this.#step(`checkpoint, ${fate}`, this.#write(context, life, fate));
    } catch (error) {
      const code = errorCode(error);
      if (code !== 'ESRCH') this.refused.push(`${code}: ${errorMessage(error).split('\n').slice(0, 2).join(' ')}`);
      rmSync(context, { force: true });
      return life;
    }
    this.taken.push(fate);
    if (fate === 'is killed later') {
      await delay(this.#random.between(0, 100));
      life.kill();
    }
    if (fate === 'stands by, its pids taken') {
      await standStill(life);
      this.#bystanders.push(life);
    } else if (!fate.startsWith('runs on')) {
      await this.#step(`exit, ${fate}`, life.exit);
    }
    const beside = this.#bystanders.length > 0;
    const next = fate.startsWith('runs on') ? life : await this.#step(`restart, ${fate}`, restartFrom(context, beside));
    rmSync(context, { force: true });
    return next;
  }
}

/** Runs `subject` below `base` with the checkpoints that `seed` stands for, and once more without. Never throws. */
export async function soakRound(subject: Subject, base: string, seed: number): Promise<Verdict> {
  const directory = join(base, `${subject.name.replaceAll(/[^a-z0-9]/gi, '-')}-${seed}`);
  const round = new Round(subject, directory, seed);
  let wrong: string | undefined;
  let controlFailed: string | undefined;
  try {
    const interrupted = await round.run();
    const rounds = interrupted.output.match(/^round/gm)?.length ?? 0;
    const complaint = readFileSync(join(directory, 'err'), 'utf8');
    const control = `${directory}-whole`;
    const whole = await uninterrupted(subject, control, rounds).catch((error: unknown) => errorMessage(error));
    if (typeof whole === 'string') controlFailed = `${whole}\n${tail(control)}`;
    else if (whole.status.exitCode !== 0)
      controlFailed = `${whole.status.signal ?? whole.status.exitCode}\n${tail(control)}`;
    else wrong = difference(subject, whole, interrupted, complaint);
  } catch (error) {
    wrong = `${errorMessage(error)}\n${round.standing()}\n${tail(directory)}`;
  } finally {
    round.kill();
  }
  if (wrong === undefined && controlFailed === undefined)
    for (const path of [directory, `${directory}-whole`]) rmSync(path, { recursive: true, force: true });
  return { subject: subject.name, seed, taken: round.taken, refused: round.refused, wrong, controlFailed };
}

function tail(directory: string): string {
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'utf8').slice(-1000);
    } catch {
      return ''; // it had not got so far
    }
  };
  return `${read(outputPath(directory))}${read(join(directory, 'err'))}`;
}
