/** Everything one incarnation of a job needs, opened in order and closed in the reverse one. */

import { JobError, NativeLoadError, UsageError } from '../errors.ts';
import type { JobIdentity, Store, StoreOptions } from '../store/types.ts';
import { type Clock, within } from '../util/clock.ts';
import { createDeferred, type Deferred } from '../util/deferred.ts';
import { errorMessage } from '../util/error-facts.ts';
import { SteadyPlace } from './blcr/steady-place.ts';
import { StoreConnection } from './connection.ts';
import type { Engine } from './engine.ts';
import { EventLog } from './event-log.ts';
import { JobEvents } from './events.ts';
import { EXIT_CODES } from './exit-status.ts';
import { identify, resolveExecutable } from './identity.ts';
import type { JobOptions, ResolvedOptions } from './options.ts';
import { ScratchFiles } from './scratch.ts';
import { JobStdio } from './stdio.ts';
import { storeBelow } from './store-place.ts';
import type { TreeFile } from './tree.ts';

/** What the job layer is built on; replaced in tests. */
export interface JobFoundations {
  readonly engine: () => Engine;
  readonly openStore: (url: string, options: StoreOptions) => Promise<Store> | Store;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
}

export interface Session {
  readonly options: ResolvedOptions;
  /** The scratch directory that the batch system gave: what is to be found there later, by whoever looks, is kept in it. */
  readonly home: string;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly random: () => number;
  readonly events: JobEvents;
  readonly stdio: JobStdio;
  readonly scratch: ScratchFiles;
  readonly inputs: readonly TreeFile[];
  readonly identity: JobIdentity;
  readonly connection: StoreConnection;
  /** Resolved by the job with what takes a checkpoint that one of its programs asks for. */
  readonly onStoreRequest: Deferred<() => Promise<unknown>>;
  /**
   * Releases everything but the job itself. Never throws.
   * @param isOver The program has ended: what it made is brought home.
   * @param patienceMs How long the store is waited for. Default: as long as it takes.
   */
  close(isOver: boolean, patienceMs?: number): Promise<void>;
}

/**
 * Prepares this node for the job. Nothing of the job runs, and the store has not been asked.
 * @throws {UsageError} when the program cannot be found; {StoreError} `ERR_STORE_URL`; {JobError} `ERR_JOB_NODE` when this node has no usable libcr or scratch directory.
 */
export async function openSession(
  asked: ResolvedOptions,
  onEvent: JobOptions['onEvent'],
  foundations: JobFoundations,
): Promise<Session> {
  const { clock, random } = foundations;
  const executable = await resolveExecutable(asked.command, asked.cwd, asked.env);
  const connection = connectionFor(asked, foundations);
  await connection.prepare();
  const engine = openEngine(foundations.engine);
  const events = new JobEvents(asked.id, () => clock.wallTime());
  if (onEvent !== undefined) events.onAny(onEvent);
  const stdio = new JobStdio(asked.stdio);
  let place: SteadyPlace | undefined;
  let scratch: ScratchFiles | undefined;
  try {
    const apart = await notTheJobs(asked, connection.url);
    place =
      engine.kind === 'blcr' && asked.files !== 'none'
        ? await SteadyPlace.open(asked.id, asked.scratch, apart)
        : undefined;
    const options = place === undefined ? asked : moveInto(place, asked);
    const home = asked.scratch;
    const files = await openScratch(options, apart, home, engine, stdio, events);
    scratch = files;
    const inputs = await files.listInputs();
    const identity = await identify([options.command, ...options.args], executable, files.root, inputs);
    const close = async (isOver: boolean, patienceMs: number = Number.POSITIVE_INFINITY): Promise<void> => {
      stdio[Symbol.dispose]();
      await Promise.allSettled([files.close(), within(clock, patienceMs, connection[Symbol.asyncDispose]())]);
      if (place !== undefined) await leave(place, isOver, events);
    };
    const onStoreRequest = createDeferred<() => Promise<unknown>>();
    return {
      options,
      home,
      engine,
      clock,
      random,
      events,
      stdio,
      scratch: files,
      inputs,
      identity,
      connection,
      onStoreRequest,
      close,
    };
  } catch (error) {
    stdio[Symbol.dispose]();
    await scratch?.close();
    await place?.remove().catch(() => undefined);
    throw error;
  }
}

/** Files that could not be brought home stay where they are. */
async function leave(place: SteadyPlace, isOver: boolean, events: JobEvents): Promise<void> {
  try {
    if (isOver) await place.deliver();
  } catch (error) {
    const message = `the job's files could not be brought from ${place.directory}: ${errorMessage(error)}`;
    events.emit('warning', { code: 'ERR_JOB_OUTPUT', message, consequence: 'they are left there', error });
    return;
  }
  await place.remove().catch(() => undefined); // the next incarnation on this node tries again
}

function moveInto(place: SteadyPlace, options: ResolvedOptions): ResolvedOptions {
  const { command, cwd } = options;
  return { ...options, command: place.inside(command), cwd: place.inside(cwd), scratch: place.directory };
}

function connectionFor(options: ResolvedOptions, { openStore, clock }: JobFoundations): StoreConnection {
  const { store, storeOptions, id } = options;
  return new StoreConnection({
    id,
    clock,
    owned: typeof store === 'string',
    open: async () => (typeof store === 'string' ? await openStore(store, storeOptions) : store),
  });
}

function openEngine(factory: () => Engine): Engine {
  try {
    return factory();
  } catch (error) {
    if (!(error instanceof NativeLoadError)) throw error;
    throw nodeError(errorMessage(error), error);
  }
}

/** Absolute paths of what lies in the job's directory and is none of its files. */
async function notTheJobs(options: ResolvedOptions, storeUrl: string): Promise<readonly string[]> {
  if (options.files === 'none') return options.ownFiles;
  const store = await storeBelow(storeUrl, options.scratch);
  return store === undefined ? options.ownFiles : [...options.ownFiles, store];
}

async function openScratch(
  options: ResolvedOptions,
  apart: readonly string[],
  home: string,
  engine: Engine,
  stdio: JobStdio,
  events: JobEvents,
): Promise<ScratchFiles> {
  let scratch: ScratchFiles;
  try {
    scratch = await ScratchFiles.open(
      options.scratch,
      options.files,
      stdio.outputs,
      [...apart, ...stdio.unreadable],
      options.id,
    );
  } catch (error) {
    if (isUsageError(error)) throw error;
    throw nodeError(`The scratch directory ${options.scratch} cannot be used: ${errorMessage(error)}`, error);
  }
  events.onAny(new EventLog(home).reserve().listener);
  for (const message of limitations(options, engine, stdio)) warnLimited(events, message);
  for (const id of scratch.sharedWith) {
    events.emit('warning', {
      code: 'ERR_JOB_SHARED',
      message: `the job ${id} may be running on another host in the same directory, ${options.scratch}`,
      consequence: 'a resumed one puts back files as they were, the other’s as well',
    });
  }
  return scratch;
}

/** Something is less than it could be; the job goes on. */
export function warnLimited(events: JobEvents, message: string): void {
  events.emit('warning', {
    code: 'ERR_JOB_LIMITED',
    message,
    consequence: 'the job runs and is checkpointed without it',
  });
}

function limitations(options: ResolvedOptions, engine: Engine, stdio: JobStdio): string[] {
  const omitted = options.filesOmitted
    ? [
        `${options.scratch} is too large a scratch directory: its files are not stored; name another with --scratch, or say --files`,
      ]
    : [];
  const orphans = engine.kind === 'blcr' ? ['with this libcr the job outlives a wrapper that is killed'] : [];
  return [...stdio.limitations, ...omitted, ...orphans];
}

const nodeError = (message: string, cause: unknown): JobError =>
  new JobError(message, { code: 'ERR_JOB_NODE', exitCode: EXIT_CODES.temporary, cause });

/** True for errors that no other node and no waiting can mend. */
export const isUsageError = (error: unknown): boolean =>
  error instanceof UsageError ||
  (error instanceof Error &&
    'code' in error &&
    (error.code === 'ERR_STORE_URL' || error.code === 'ERR_STORE_ARGUMENT'));
