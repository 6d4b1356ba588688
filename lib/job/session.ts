/** Everything one incarnation of a job needs, opened in order and closed in the reverse one. */

import { JobError, NativeLoadError, UsageError } from '../errors.ts';
import type { JobIdentity, Store, StoreOptions } from '../store/types.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/error-facts.ts';
import { StoreConnection } from './connection.ts';
import type { Engine } from './engine.ts';
import { EventLog } from './event-log.ts';
import { JobEvents } from './events.ts';
import { EXIT_CODES } from './exit-status.ts';
import { identify, resolveExecutable } from './identity.ts';
import type { JobOptions, ResolvedOptions } from './options.ts';
import { ScratchFiles } from './scratch.ts';
import { JobStdio } from './stdio.ts';
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
  readonly engine: Engine;
  readonly clock: Clock;
  readonly random: () => number;
  readonly events: JobEvents;
  readonly stdio: JobStdio;
  readonly scratch: ScratchFiles;
  readonly inputs: readonly TreeFile[];
  readonly identity: JobIdentity;
  readonly connection: StoreConnection;
  /** Releases everything but the job itself. Never throws. */
  close(): Promise<void>;
}

/**
 * Prepares this node for the job. Nothing of the job runs, and the store has not been asked.
 * @throws {UsageError} when the program cannot be found; {StoreError} `ERR_STORE_URL`; {JobError} `ERR_JOB_NODE` when this node has no usable libcr or scratch directory.
 */
export async function openSession(
  options: ResolvedOptions,
  onEvent: JobOptions['onEvent'],
  foundations: JobFoundations,
): Promise<Session> {
  const { clock, random } = foundations;
  const executable = await resolveExecutable(options.command, options.cwd, options.env);
  const connection = connectionFor(options, foundations);
  await connection.prepare();
  const engine = openEngine(foundations.engine);
  const events = new JobEvents(options.id, () => clock.wallTime());
  if (onEvent !== undefined) events.onAny(onEvent);
  const stdio = new JobStdio(options.stdio);
  try {
    const scratch = await openScratch(options, engine, stdio, events);
    const inputs = await scratch.listInputs();
    const identity = await identify([options.command, ...options.args], executable, scratch.root, inputs);
    const close = async (): Promise<void> => {
      stdio[Symbol.dispose]();
      await Promise.allSettled([scratch.close(), connection[Symbol.asyncDispose]()]);
    };
    return { options, engine, clock, random, events, stdio, scratch, inputs, identity, connection, close };
  } catch (error) {
    stdio[Symbol.dispose]();
    throw error;
  }
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

async function openScratch(
  options: ResolvedOptions,
  engine: Engine,
  stdio: JobStdio,
  events: JobEvents,
): Promise<ScratchFiles> {
  let scratch: ScratchFiles;
  try {
    scratch = await ScratchFiles.open(options.scratch, engine.canCapture ? options.files : 'none', stdio.outputs);
  } catch (error) {
    throw nodeError(`The scratch directory ${options.scratch} cannot be used: ${errorMessage(error)}`, error);
  }
  events.onAny(new EventLog(options.scratch).listener);
  for (const message of limitations(options, engine, stdio)) warnLimited(events, message);
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
  if (engine.canCapture) return [...stdio.limitations, ...omitted];
  const files =
    options.files === 'none' && stdio.outputs.length === 0 ? [] : ['this libcr cannot capture files: none are stored'];
  return [...stdio.limitations, ...files, 'with this libcr the job outlives a wrapper that is killed'];
}

const nodeError = (message: string, cause: unknown): JobError =>
  new JobError(message, { code: 'ERR_JOB_NODE', exitCode: EXIT_CODES.temporary, cause });

/** True for errors that no other node and no waiting can mend. */
export const isUsageError = (error: unknown): boolean =>
  error instanceof UsageError ||
  (error instanceof Error &&
    'code' in error &&
    (error.code === 'ERR_STORE_URL' || error.code === 'ERR_STORE_ARGUMENT'));
