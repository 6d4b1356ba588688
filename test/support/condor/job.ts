/** A job in the test pool: submitted, looked at and waited for. Every wait has an end. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CondorPool, NodeName } from './pool.ts';

/** Numbers of the user log's events. Source: HTCondor manual, "Job event log codes". */
const USER_LOG = {
  submitted: 0,
  executing: 1,
  evicted: 4,
  terminated: 5,
  message: 8,
  aborted: 9,
  suspended: 10,
  continued: 11,
  held: 12,
  released: 13,
} as const;
export type UserLogEvent = keyof typeof USER_LOG;

const LIMIT_MS = 60_000;

export class CondorJob {
  /** `cluster.process`. */
  readonly id: string;
  readonly directory: string;
  readonly #pool: CondorPool;

  private constructor(pool: CondorPool, id: string, directory: string) {
    this.#pool = pool;
    this.id = id;
    this.directory = directory;
  }

  /**
   * @param name Directory below the pool's `jobs`; holds what the job transfers in, and its outputs.
   * @param description A complete submit description whose user log is `job.log`.
   */
  static async submit(pool: CondorPool, name: string, description: string): Promise<CondorJob> {
    const directory = pool.makeDirectory(join('jobs', name));
    pool.write(join('jobs', name, 'job.sub'), description);
    const answer = await pool.run('condor_submit', ['-terse', 'job.sub'], directory);
    return new CondorJob(pool, (answer.split(/\s/)[0] ?? '').trim(), directory);
  }

  read(name: string): string {
    return readFileSync(join(this.directory, name), 'utf8');
  }

  has(name: string): boolean {
    return existsSync(join(this.directory, name));
  }

  /** How often something is in the user log. */
  count(event: UserLogEvent): number {
    if (!this.has('job.log')) return 0;
    const code = String(USER_LOG[event]).padStart(3, '0');
    return this.read('job.log')
      .split('\n')
      .filter((line) => line.startsWith(`${code} (`)).length;
  }

  /** Until an event has been logged for the `times`-th time. */
  async until(event: UserLogEvent, times = 1): Promise<void> {
    await this.#wait(`${event} for the ${times}. time`, async () => this.count(event) >= times);
  }

  /** An attribute of the job in the queue, as condor_q prints it. */
  async attribute(name: string): Promise<string> {
    return (await this.#pool.run('condor_q', [this.id, '-af', name])).trim();
  }

  async untilAttribute(name: string, expected: RegExp): Promise<void> {
    await this.#wait(`${name} like ${expected}`, async () => expected.test(await this.attribute(name)));
  }

  /** Attributes of a job that has left the queue, in order; the schedd writes its history a little later than the user log. */
  async history(...names: readonly string[]): Promise<readonly string[]> {
    let values: readonly string[] = [];
    await this.#wait('the history', async () => {
      const answer = await this.#pool.run('condor_history', [this.id, '-af:t', ...names]);
      values = answer.trim().split('\t');
      return answer.trim() !== '';
    });
    return values;
  }

  /** The node that the job runs on. */
  async node(): Promise<NodeName> {
    let found: NodeName | undefined;
    await this.#wait('its node', async () => {
      const host = await this.attribute('RemoteHost');
      found = (['nodeA', 'nodeB'] as const).find((name) => host.includes(name));
      return found !== undefined;
    });
    return found as NodeName;
  }

  async command(program: string, ...args: readonly string[]): Promise<void> {
    await this.#pool.run(program, [...args, this.id]);
  }

  /** Until `is` holds. */
  async #wait(what: string, is: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + LIMIT_MS; Date.now() < end; await sleep(100)) if (await is()) return;
    const log = this.has('job.log') ? this.read('job.log') : 'no user log';
    throw new Error(`job ${this.id}: no ${what} within ${LIMIT_MS / 1000} s\n${log}`);
  }
}
