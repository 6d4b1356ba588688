/** A pool, a Chirp server and wrapped jobs for the tests of this directory. */

import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { JobEvent } from '../../lib/job/events.ts';
import { openStore } from '../../lib/store/index.ts';
import { ChirpServer, hasChirpServer } from '../support/chirp-server.ts';
import type { PoolSettings } from '../support/condor/configuration.ts';
import { CondorJob } from '../support/condor/job.ts';
import { CondorUnavailable } from '../support/condor/packages.ts';
import { CondorPool, NODES } from '../support/condor/pool.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LIMIT_MS = 60_000;

/** Whether a job of the pool wants to be run again. The same in every submit description that the package writes. */
export const ON_EXIT_REMOVE =
  '(ExitBySignal =?= True && ExitSignal =!= 9) || (ExitBySignal =!= True && ExitCode =!= 85 && ExitCode =!= 75)';

export interface WrappedJob {
  /** Default: the classic wrapper of this checkout, run by the machine's own Node. */
  readonly executable?: string;
  /** Default: the store of the bench. */
  readonly arguments: readonly string[];
  /** Names in the job's directory. */
  readonly inputs?: readonly string[];
  readonly outputs?: readonly string[];
  /** More lines of the submit description. */
  readonly lines?: readonly string[];
}

export class CondorBench implements AsyncDisposable {
  readonly pool: CondorPool;
  readonly chirp: ChirpServer;
  readonly #wrapper: string;

  private constructor(pool: CondorPool, chirp: ChirpServer) {
    this.pool = pool;
    this.chirp = chirp;
    this.#wrapper = this.#writeStarter('blcr_wrapper', 'dist/cli/wrapper.js');
    this.#writeStarter('blcr', 'dist/cli/main.js');
  }

  /** @returns why there is no bench on this machine, or the bench. */
  static async start(settings?: PoolSettings): Promise<CondorBench | string> {
    if (!existsSync(join(ROOT, 'build/native/blcr-keeper')))
      return 'the native parts are not built (npm run build:native)';
    if (!existsSync(join(ROOT, 'dist/cli/wrapper.js'))) return 'dist/ is not built (npm run build:ts)';
    if (!hasChirpServer()) return 'chirp_server is not installed (Debian: coop-computing-tools)';
    let pool: CondorPool;
    try {
      pool = await CondorPool.start(settings);
    } catch (error) {
      if (error instanceof CondorUnavailable) return error.message;
      throw error;
    }
    return new CondorBench(pool, await ChirpServer.start());
  }

  get store(): string {
    return `chirp://${this.chirp.host}:${this.chirp.port}/`;
  }

  /** Names of the jobs that the Chirp server has something of. */
  async stored(): Promise<readonly string[]> {
    return (await readdir(this.chirp.root)).filter((name) => !name.startsWith('.'));
  }

  /** Submits a job whose executable is the classic wrapper. */
  async submit(name: string, job: WrappedJob): Promise<CondorJob> {
    return await CondorJob.submit(this.pool, name, this.describe(job));
  }

  describe({ executable = this.#wrapper, arguments: args, inputs = [], outputs = [], lines = [] }: WrappedJob): string {
    return [
      'universe = vanilla',
      `executable = ${executable}`,
      `arguments = "${args.map(quote).join(' ')}"`,
      'should_transfer_files = YES',
      'when_to_transfer_output = ON_EXIT',
      `transfer_input_files = ${inputs.join(', ')}`,
      `transfer_output_files = ${outputs.length === 0 ? '""' : outputs.join(', ')}`,
      'want_graceful_removal = False',
      'job_max_vacate_time = 20',
      `on_exit_remove = ${ON_EXIT_REMOVE}`,
      'job_machine_attrs = NodeName',
      'job_machine_attrs_history_length = 1',
      'rank = TARGET.NodeName =!= MY.MachineAttrNodeName0',
      'output = out',
      'error = err',
      'log = job.log',
      ...lines,
      'queue',
      '',
    ].join('\n');
  }

  /** The arguments of the classic wrapper for a program, with a checkpoint every `period` (such as `0.7s`). */
  classic(period: string, program: readonly string[], id = '$$([GlobalJobId])'): readonly string[] {
    return [this.chirp.host, String(this.chirp.port), period, id, ...program];
  }

  /** The events that the wrapper has logged in its current sandbox, wherever that is. */
  async events(id: string): Promise<readonly JobEvent[]> {
    const logs = await Promise.all(NODES.map((node) => readSandboxes(join(this.pool.directory, node, 'execute'))));
    return logs.flat().filter((event) => event.id.includes(id));
  }

  /** Waits until the job's wrapper has logged something. @param job Found by its number, which is part of GlobalJobId. */
  async untilEvent(job: CondorJob, is: (event: JobEvent) => boolean): Promise<JobEvent> {
    for (const end = Date.now() + LIMIT_MS; Date.now() < end; await sleep(50)) {
      const found = (await this.events(`_${job.id}_`)).find(is);
      if (found !== undefined) return found;
    }
    const events = JSON.stringify(await this.events(`_${job.id}_`), undefined, 1);
    throw new Error(
      `job ${job.id}: nothing of the kind within ${LIMIT_MS / 1000} s\n${events}\n${job.read('job.log')}`,
    );
  }

  /** Waits until the store holds a checkpoint of a job. */
  async untilStored(id: string): Promise<void> {
    for (const end = Date.now() + LIMIT_MS; Date.now() < end; await sleep(200))
      if ((await this.newestReason(id)) !== undefined) return;
    throw new Error(`no checkpoint of ${id} within ${LIMIT_MS / 1000} s`);
  }

  /** Why the newest checkpoint of a job was taken; undefined when there is none. */
  async newestReason(id: string): Promise<string | undefined> {
    const store = await openStore(this.store);
    try {
      const [newest] = (await (await store.inspect(id))?.checkpoints()) ?? [];
      return newest?.record.reason;
    } finally {
      await store.close();
    }
  }

  /** Pid of the starter under which a job runs now. */
  async starterOf(job: CondorJob): Promise<number> {
    const node = await job.node();
    const [cluster] = job.id.split('.');
    const log = await readdir(join(this.pool.directory, node, 'execute'));
    for (const name of log) {
      const ad = await readFile(join(this.pool.directory, node, 'execute', name, '.job.ad'), 'utf8').catch(() => '');
      if (new RegExp(`^ClusterId = ${cluster}$`, 'm').test(ad)) return Number(name.replace('dir_', ''));
    }
    throw new Error(`job ${job.id} has no sandbox on ${node}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.stop();
    await this.chirp.stop();
  }

  /** The job's environment has no PATH, and its user may have no Node of her own there. */
  #writeStarter(name: string, program: string): string {
    return this.pool.write(name, `#!/bin/sh\nexec ${process.execPath} ${join(ROOT, program)} "$@"\n`, 0o755);
  }
}

/**
 * To be called inside `describe`: one pool for all of its tests, which are skipped where there can be none.
 * @param prepare Done once, before the first test.
 * @param finish Done once, after the last one, while the pool is still there.
 */
export function inPool(
  settings: PoolSettings,
  prepare: (bench: CondorBench) => void = () => undefined,
  finish: (bench: CondorBench) => Promise<void> = async () => undefined,
): (name: string, body: (bench: CondorBench) => Promise<void>) => void {
  let bench: CondorBench | string = 'the pool was not started';
  before(async () => {
    bench = await CondorBench.start(settings);
    if (typeof bench !== 'string') prepare(bench);
  });
  after(async () => {
    if (typeof bench === 'string') return;
    await using all = bench;
    await finish(all);
  });
  return (name, body) => {
    test(name, async (context) => {
      if (typeof bench === 'string') return context.skip(bench);
      await body(bench);
    });
  };
}

async function readSandboxes(execute: string): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  for (const name of await readdir(execute).catch(() => [])) {
    const text = await readFile(join(execute, name, '.blcr/events.log'), 'utf8').catch(() => '');
    const lines = text.split('\n').slice(0, -1);
    events.push(...lines.map((line) => JSON.parse(line) as JobEvent));
  }
  return events;
}

/** HTCondor's new syntax of arguments: single quotes keep blanks, and are doubled inside. */
const quote = (argument: string): string =>
  /[\s'"]/.test(argument) ? `'${argument.replaceAll("'", "''").replaceAll('"', '""')}'` : argument;
