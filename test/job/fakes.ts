/** In-memory collaborators of a job: an engine whose program does what the test says, and a store that fails when told. */

import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type {
  CheckpointOptions,
  CheckpointResult,
  ExitStatus,
  PendingCheckpoint,
  PendingRestart,
  RestartOptions,
} from '../../lib/checkpoint/types.ts';
import { StoreError } from '../../lib/errors.ts';
import type { Engine, RunningProcess } from '../../lib/job/engine.ts';
import type { JobEvent } from '../../lib/job/events.ts';
import { Job } from '../../lib/job/job.ts';
import type { JobOptions } from '../../lib/job/options.ts';
import type {
  CheckpointRecord,
  CheckpointSummary,
  Claim,
  FileEntry,
  FinishedRecord,
  Store,
  StoredCheckpoint,
  WriteRequest,
} from '../../lib/store/types.ts';
import { createDeferred } from '../../lib/util/deferred.ts';
import { FakeClock } from '../support/fake-clock.ts';

const RESULT: CheckpointResult = {
  ...{ snapshot: 'fork', processes: 1, threads: 2, stopUs: 900, captureUs: 0, totalUs: 5000 },
  ...{ pages: 10, bytes: 40_960, capturedFiles: 0, capturedBytes: 0, warnings: [], log: '' },
};

export class FakeProcess implements RunningProcess {
  readonly pid: number = 4711;
  readonly target: number = 4712;
  readonly signals: string[] = [];
  killed = false;
  readonly #exit = createDeferred<ExitStatus>();
  readonly exit: Promise<ExitStatus> = this.#exit.promise;

  signal(name: NodeJS.Signals): void {
    this.signals.push(name);
  }

  signalAll(name: NodeJS.Signals): void {
    this.signals.push(`all ${name}`);
  }

  kill(): void {
    this.killed = true;
    this.end({ exitCode: undefined, signal: 'SIGKILL' });
  }

  end(status: ExitStatus): void {
    this.#exit.resolve(status);
  }
}

export class FakeEngine implements Engine {
  readonly kind = 'userspace';
  readonly process: FakeProcess = new FakeProcess();
  readonly checkpoints: CheckpointOptions[] = [];
  readonly restarts: RestartOptions[] = [];
  launches = 0;
  /** What becomes of the next requests; by default they succeed at once. */
  onCheckpoint: (options: CheckpointOptions) => Promise<CheckpointResult> = async () => RESULT;
  onRestart: () => Promise<void> = async () => undefined;

  async launch(): Promise<RunningProcess> {
    this.launches += 1;
    return this.process;
  }

  checkpoint(options: CheckpointOptions): PendingCheckpoint {
    this.checkpoints.push(options);
    if (options.capture !== undefined) writeFileSync(join(options.capture.into, '.index'), '');
    const done = this.onCheckpoint(options);
    const settled = Promise.allSettled([done]).then(() => undefined);
    return { context: openSync('/dev/null', 'r'), done, settled };
  }

  restart(options: RestartOptions): PendingRestart {
    this.restarts.push(options);
    const done = this.onRestart().then(() => ({
      ...{ pid: this.process.pid, jobPid: 1, processes: 1, threads: 1, totalUs: 1, bytes: 1, log: '' },
      exit: this.process.exit,
    }));
    done.catch(() => undefined);
    return { context: openSync('/dev/null', 'w'), done };
  }

  adopt(): RunningProcess {
    return this.process;
  }
}

export const unreachable = (): StoreError =>
  new StoreError('nobody answers', { code: 'ERR_STORE_UNREACHABLE', retriable: true });
export const fenced = (): StoreError => new StoreError('a newer one', { code: 'ERR_STORE_FENCED' });
export const corrupt = (): StoreError => new StoreError('damaged', { code: 'ERR_STORE_CORRUPT' });

interface Kept {
  readonly summary: CheckpointSummary;
  readonly files: readonly FileEntry[];
}

export type Operation =
  | 'claim'
  | 'inspect'
  | 'checkpoints'
  | 'open'
  | 'write'
  | 'retain'
  | 'check'
  | 'finished'
  | 'finish'
  | 'remove'
  | 'extract'
  | 'feed';

export class FakeStore implements Store {
  readonly url = 'fake:///';
  kept: Kept[] = [];
  finishedRecord: FinishedRecord | undefined;
  removed = false;
  /** Called before each operation; throws to make it fail. */
  before: (operation: Operation, sequence: number) => void | Promise<void> = () => undefined;
  readonly calls: Operation[] = [];

  async claim(): Promise<Claim> {
    await this.enter('claim');
    return fakeClaim(this);
  }

  async inspect(): ReturnType<Store['inspect']> {
    await this.enter('inspect');
    if (this.kept.length === 0 && this.finishedRecord === undefined) return undefined;
    const summary = {
      ...{ id: 'job', epoch: 1, checkpoints: this.kept.length, newest: 1, bytes: 1 },
      finished: this.finishedRecord !== undefined,
    };
    return { summary, checkpoints: async () => [], open: async () => this.stored(1) };
  }

  async list(): ReturnType<Store['list']> {
    return [];
  }

  async remove(): Promise<boolean> {
    return true;
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  async enter(operation: Operation, sequence = 0): Promise<void> {
    this.calls.push(operation);
    await this.before(operation, sequence);
  }

  /** Puts a checkpoint there as an earlier incarnation would have. */
  keep(record: Partial<CheckpointRecord> & Pick<CheckpointRecord, 'identity'>): void {
    const summary: CheckpointSummary = {
      ...{ sequence: this.kept.length + 1, epoch: 1, created: 0, contextBytes: 100, fileBytes: 0, storedBytes: 100 },
      record: {
        ...{ provider: 'userspace', host: 'elsewhere', scratch: '/old/scratch', cwd: '/old/scratch' },
        ...{ reason: 'periodic', runtimeMs: 5000, ...record },
      },
    };
    this.kept.push({ summary, files: [] });
  }

  stored(sequence: number): StoredCheckpoint {
    const kept = this.kept.find(({ summary }) => summary.sequence === sequence) ?? this.kept[0];
    return {
      summary: kept?.summary as CheckpointSummary,
      files: kept?.files ?? [],
      writeContext: async (fd) => {
        closeSync(fd);
        await this.enter('feed', sequence);
      },
      extractFiles: () => this.enter('extract', sequence),
      readRole: async () => false,
      verify: async () => undefined,
    };
  }
}

function fakeClaim(store: FakeStore): Claim {
  return {
    jobId: 'job',
    epoch: 2,
    damaged: [],
    async checkpoints() {
      await store.enter('checkpoints');
      return store.kept.map(({ summary }) => summary).reverse();
    },
    async open(sequence) {
      await store.enter('open', sequence);
      return store.stored(sequence);
    },
    write: (request, options) => write(store, request, options?.signal),
    async retain(keep) {
      await store.enter('retain');
      store.kept = keep === 0 ? [] : store.kept.slice(-keep);
    },
    check: () => store.enter('check'),
    async finished() {
      await store.enter('finished');
      const record = store.finishedRecord;
      return record === undefined ? undefined : { ...record, stored: store.stored(0) };
    },
    async finish(record) {
      await store.enter('finish');
      store.finishedRecord = record;
    },
    async remove() {
      await store.enter('remove');
      store.removed = true;
      store.kept = [];
      store.finishedRecord = undefined;
    },
    async [Symbol.asyncDispose]() {},
  };
}

async function write(store: FakeStore, request: WriteRequest, signal?: AbortSignal): Promise<CheckpointSummary> {
  closeSync(request.contextFd);
  const aborted = new Promise<never>((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  const work = async (): Promise<CheckpointSummary> => {
    await store.enter('write');
    await request.complete;
    const files = await request.files();
    const summary: CheckpointSummary = {
      ...{ sequence: (store.kept.at(-1)?.summary.sequence ?? 0) + 1, epoch: 2, created: 0 },
      ...{ contextBytes: 1000, fileBytes: 0, storedBytes: 10, record: request.record() },
    };
    store.kept.push({ summary, files });
    return summary;
  };
  return await Promise.race([work(), aborted]);
}

export interface Bench {
  readonly engine: FakeEngine;
  readonly store: FakeStore;
  readonly clock: FakeClock;
  readonly events: JobEvent[];
  readonly scratch: string;
  open(options?: Partial<JobOptions>): Promise<Job>;
  names(): string[];
}

export function makeBench(context: TestContext): Bench {
  const scratch = mkdtempSync(join(tmpdir(), 'blcr-job-'));
  context.after(() => rmSync(scratch, { recursive: true, force: true }));
  const engine = new FakeEngine();
  const store = new FakeStore();
  const clock = new FakeClock();
  const events: JobEvent[] = [];
  return {
    engine,
    store,
    clock,
    events,
    scratch,
    names: () => events.map(({ event }) => event),
    open: (options = {}) =>
      Job.open(
        {
          ...{ id: 'job', store, command: 'true', args: ['x'], every: 10_000, first: 1000, scratch, cwd: scratch },
          ...{ stdio: ['ignore', 'ignore', 'ignore'], env: { PATH: '/usr/bin:/bin' } },
          onEvent: (event) => events.push(event),
          ...options,
        },
        { engine: () => engine, openStore: async () => store, clock, random: () => 0.5 },
      ),
  };
}
