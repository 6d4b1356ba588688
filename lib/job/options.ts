/** What a caller may ask of a job, checked and with defaults filled in. */

import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import { CARRIED_KINDS, type CarriedKind } from '../checkpoint/carried-files.ts';
import { UsageError } from '../errors.ts';
import type { Store, StoreOptions } from '../store/types.ts';
import { parseRate } from '../util/bytes.ts';
import { parseDuration } from '../util/duration.ts';
import { CPU_BASELINES, type CpuBaseline } from './cpu-baseline.ts';
import type { JobEvent } from './events.ts';
import { EXIT_CODES } from './exit-status.ts';

/** A descriptor of this process, this process's own one, or /dev/null. */
export type StdioEntry = number | 'inherit' | 'ignore';

export interface JobOptions {
  /** Name of the job in the store, the same at each of its starts. Letters, digits and `. _ - @ +`, at most 200; `#` becomes `_`. */
  readonly id: string;
  /** `chirp://host[:port]/path`, `file:///directory`, or an open store (which stays the caller's). */
  readonly store: string | Store;
  /** Program, found through PATH when it has no slash. */
  readonly command: string;
  readonly args?: readonly string[];
  /** Time between checkpoints: milliseconds or text such as `90m`. Default `60m`. */
  readonly every?: number | string;
  /** Time to the first checkpoint, default `60s` or `every`, whichever is shorter. */
  readonly first?: number | string;
  /** How many checkpoints the store keeps, 1 to 1000, default 2. */
  readonly keep?: number;
  /** 32 bytes: everything in the store is sealed with AES-256-GCM. */
  readonly key?: Uint8Array;
  /** Further options of a store given by URL. */
  readonly storeOptions?: Omit<StoreOptions, 'key'>;
  /** Start from the beginning and drop what the store has of this job. Default false. */
  readonly fresh?: boolean;
  /** Resume although program, arguments or inputs differ from those checkpointed. Default false. */
  readonly acceptChanged?: boolean;
  /** Restart under new process ids when those of the checkpoint are taken on this node (EBUSY), rather than fail there. Default false. */
  readonly newPids?: boolean;
  /** Milliseconds that a later run waits for an unreachable store before it gives up with exit code 75. Default 600000. */
  readonly storeWaitMs?: number;
  /** Upper limit of periodic uploads: bytes per second or text such as `5MB`; evictions know no limit. Default none. */
  readonly maxRate?: number | string;
  /** Each checkpoint ends this run with reason `vacated`, for batch systems that carry checkpoints themselves. Default false. */
  readonly exitAfterCheckpoint?: boolean;
  /** Default `auto`: a forked copy when memory allows. */
  readonly snapshot?: 'auto' | 'fork' | 'plain';
  /** TCP connections with a peer outside the job: `refuse` checkpoints (default), or `close`: the restarted program finds them reset. */
  readonly tcp?: 'refuse' | 'close';
  /** The same for unix sockets: the restarted program finds them closed. */
  readonly unix?: 'refuse' | 'close';
  /**
   * Confines the program to instructions of this level, as far as its libraries let themselves be told (default: all that the processor has).
   * Its checkpoints then need no more than that of a node. Has no effect on a job that is resumed.
   */
  readonly cpuBaseline?: CpuBaseline;
  /** Mapped files that travel with each checkpoint, for nodes that lack them or have others. Default none. */
  readonly save?: readonly CarriedKind[];
  /**
   * Which files below the scratch directory are stored with a checkpoint: those `changed` or created since the first start (default), `all`,
   * or `none`. Default `none` when the scratch directory is /, the home directory, or not in the sandbox of a job of HTCondor.
   */
  readonly files?: 'changed' | 'all' | 'none';
  /** Files that are the wrapper's (key, ticket), wherever they lie: never compared, never part of a checkpoint. Default none. */
  readonly ownFiles?: readonly string[];
  /** Directory whose files belong to the job, default `cwd`. */
  readonly scratch?: string;
  /** Working directory of the program, default the current one. */
  readonly cwd?: string;
  /** Environment of the program, default this process's. */
  readonly env?: NodeJS.ProcessEnv;
  /** Default all `inherit`. Regular files as stdout and stderr belong to the job: they are rolled back and carried along with it. */
  readonly stdio?: readonly [StdioEntry, StdioEntry, StdioEntry];
  /** Exit code that means "run me again", 1 to 255, default 85. Only recorded here; the command line uses it. */
  readonly requeueCode?: number;
  /** Milliseconds an eviction may take when `vacate` is not told otherwise. Default: what the batch system says, else 600000. */
  readonly vacateMs?: number;
  /** Gets every event, also those from before `open` has returned. */
  readonly onEvent?: (event: JobEvent) => void;
  /** Gives up opening; nothing of the job is left running then, and the store is as it was. */
  readonly signal?: AbortSignal;
}

export interface ResolvedOptions {
  readonly id: string;
  readonly store: string | Store;
  readonly storeOptions: StoreOptions;
  readonly command: string;
  readonly args: readonly string[];
  readonly everyMs: number;
  readonly firstMs: number;
  readonly keep: number;
  readonly fresh: boolean;
  readonly acceptChanged: boolean;
  readonly newPids: boolean;
  readonly storeWaitMs: number;
  readonly maxRate: number | undefined;
  readonly exitAfterCheckpoint: boolean;
  readonly snapshot: 'auto' | 'fork' | 'plain';
  readonly tcp: 'refuse' | 'close';
  readonly unix: 'refuse' | 'close';
  readonly cpuBaseline: CpuBaseline | undefined;
  readonly save: readonly CarriedKind[];
  readonly files: 'changed' | 'all' | 'none';
  /** Nobody has asked for `none`: it is to be told. */
  readonly filesOmitted: boolean;
  readonly scratch: string;
  /** Absolute paths. */
  readonly ownFiles: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly stdio: readonly [StdioEntry, StdioEntry, StdioEntry];
  readonly vacateMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

const MINIMUM_PERIOD_MS = 100;
const SLOWEST_RATE = 1000;
const SNAPSHOTS = ['auto', 'fork', 'plain'] as const;
const CONNECTIONS = ['refuse', 'close'] as const;
const FILES = ['changed', 'all', 'none'] as const;

/** @throws {UsageError} `ERR_USAGE` naming the option that is wrong. */
export function resolveOptions(options: JobOptions): ResolvedOptions {
  const cwd = resolve(options.cwd ?? '.');
  const scratch = resolve(options.scratch ?? cwd);
  const isShared = isEverybodys(scratch) || isOutsideSandbox(scratch, options.env ?? process.env);
  const everyMs = parsePeriod(options.every ?? 3_600_000, 'every');
  integer('requeueCode', options.requeueCode ?? EXIT_CODES.requeue, 1, 255);
  if (options.key !== undefined && options.key.length !== 32) throw new UsageError('key: 32 bytes are needed');
  if (typeof options.command !== 'string' || options.command === '')
    throw new UsageError('command: no program was named');
  return {
    id: normaliseId(options.id),
    store: options.store,
    storeOptions: { ...options.storeOptions, ...(options.key === undefined ? {} : { key: options.key }) },
    command: options.command,
    args: options.args ?? [],
    everyMs,
    firstMs: parsePeriod(options.first ?? Math.min(60_000, everyMs), 'first'),
    keep: integer('keep', options.keep ?? 2, 1, 1000),
    fresh: options.fresh ?? false,
    acceptChanged: options.acceptChanged ?? false,
    newPids: options.newPids ?? false,
    storeWaitMs: integer('storeWaitMs', options.storeWaitMs ?? 600_000, 0, Number.MAX_SAFE_INTEGER),
    maxRate: options.maxRate === undefined ? undefined : rate(options.maxRate),
    exitAfterCheckpoint: options.exitAfterCheckpoint ?? false,
    snapshot: oneOf('snapshot', options.snapshot ?? 'auto', SNAPSHOTS),
    tcp: oneOf('tcp', options.tcp ?? 'refuse', CONNECTIONS),
    unix: oneOf('unix', options.unix ?? 'refuse', CONNECTIONS),
    cpuBaseline:
      options.cpuBaseline === undefined ? undefined : oneOf('cpuBaseline', options.cpuBaseline, CPU_BASELINES),
    save: (options.save ?? []).map((kind) => oneOf('save', kind, CARRIED_KINDS)),
    filesOmitted: options.files === undefined && isShared,
    files: oneOf('files', options.files ?? (isShared ? 'none' : 'changed'), FILES),
    scratch,
    ownFiles: (options.ownFiles ?? []).map((path) => resolve(cwd, path)),
    cwd,
    env: options.env ?? process.env,
    stdio: options.stdio ?? ['inherit', 'inherit', 'inherit'],
    vacateMs:
      options.vacateMs === undefined ? undefined : integer('vacateMs', options.vacateMs, 1, Number.MAX_SAFE_INTEGER),
    signal: options.signal,
  };
}

/** HTCondor's GlobalJobId contains `#`, which it turns into `_` itself where it makes URLs of it. */
export function normaliseId(id: string): string {
  const name = typeof id === 'string' ? id.replaceAll('#', '_') : '';
  if (!/^[A-Za-z0-9_@+-][A-Za-z0-9._@+-]{0,199}$/.test(name)) {
    throw new UsageError(`id: '${id}' must be 1 to 200 letters, digits or . _ - @ + # and not begin with a dot`);
  }
  return name;
}

/** A walk of these inside every stop would serve nobody. $HOME does not count: batch systems point it to the scratch directory. */
function isEverybodys(directory: string): boolean {
  if (directory === '/') return true;
  try {
    return directory === resolve(userInfo().homedir);
  } catch {
    return false; // this user is in no list, and has no home directory
  }
}

/**
 * HTCondor runs jobs without file transfer in the directory that they were submitted from, which has the user log and other jobs' files:
 * those must not be rolled back with this one.
 */
function isOutsideSandbox(directory: string, env: NodeJS.ProcessEnv): boolean {
  const sandbox = env['_CONDOR_SCRATCH_DIR'];
  if (sandbox === undefined || env['_CONDOR_JOB_AD'] === undefined) return false;
  return directory !== resolve(sandbox) && !directory.startsWith(`${resolve(sandbox)}/`);
}

/** Milliseconds between checkpoints. @throws {UsageError} */
export function parsePeriod(value: number | string, name: string): number {
  const ms = typeof value === 'string' ? parseDuration(value, name) : value;
  if (!Number.isFinite(ms) || ms < MINIMUM_PERIOD_MS) throw new UsageError(`${name}: at least ${MINIMUM_PERIOD_MS} ms`);
  return ms;
}

function rate(value: number | string): number {
  const bytes = typeof value === 'string' ? parseRate(value, 'maxRate') : value;
  if (!(bytes >= SLOWEST_RATE && Number.isFinite(bytes))) throw new UsageError('maxRate: at least 1 kB a second');
  return bytes;
}

function integer(name: string, value: number, least: number, most: number): number {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new UsageError(`${name}: a whole number from ${least} to ${most} is needed, not ${value}`);
  }
  return value;
}

function oneOf<T extends string>(name: string, value: T, allowed: readonly T[]): T {
  if (!allowed.includes(value)) throw new UsageError(`${name}: one of ${allowed.join(', ')} is needed, not '${value}'`);
  return value;
}
