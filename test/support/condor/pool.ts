/**
 * A pool on loopback: central manager with schedd, and two execute nodes, nodeA and nodeB, all as an ordinary user. Started, asked and stopped
 * by the tests that use it.
 */

import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { configuration, type PoolSettings } from './configuration.ts';
import { obtainCondor } from './packages.ts';

const run = promisify(execFile);

const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 10_000;
/** Longest time that one command of HTCondor may take. */
const COMMAND_LIMIT_MS = 30_000;
const DAEMONS = { cm: 'MASTER COLLECTOR NEGOTIATOR SCHEDD', nodeA: 'MASTER STARTD', nodeB: 'MASTER STARTD' } as const;
export const NODES = ['nodeA', 'nodeB'] as const;
export type NodeName = (typeof NODES)[number];

interface User {
  readonly uid: number;
  readonly gid: number;
}

export class CondorPool implements AsyncDisposable {
  /** Everything that the pool has on disk, with a directory `jobs` for those who submit. */
  readonly directory: string;
  /** For programs that talk to the pool, and what jobs are submitted with. */
  readonly env: NodeJS.ProcessEnv;
  /** Whom daemons, submitted jobs and their files belong to; undefined = whoever runs this. */
  readonly user: User | undefined;
  readonly #masters: ChildProcess[] = [];

  private constructor(prefix: string, settings: PoolSettings) {
    this.user = ordinaryUser();
    this.directory = mkdtempSync(join(tmpdir(), 'condor-pool-'));
    chmodSync(this.directory, 0o755);
    this.#own(this.directory);
    this.makeDirectory('jobs');
    const port = randomInt(12_000, 31_000);
    for (const [name, daemons] of Object.entries(DAEMONS)) {
      const local = this.makeDirectory(name);
      for (const part of ['log', 'spool', 'execute', 'lock', 'run']) this.makeDirectory(join(name, part));
      const node = NODES.find((candidate) => candidate === name);
      this.write(join(name, 'condor_config'), configuration({ prefix, local, daemons, port, node, settings }));
    }
    this.env = {
      PATH: [join(prefix, 'bin'), join(prefix, 'sbin'), '/usr/local/bin', '/usr/bin', '/bin'].join(':'),
      CONDOR_CONFIG: join(this.directory, 'cm/condor_config'),
      HOME: this.directory,
    };
  }

  /**
   * @throws {CondorUnavailable} when this machine cannot have HTCondor; else when the pool does not come up.
   */
  static async start(settings: PoolSettings = {}): Promise<CondorPool> {
    const pool = new CondorPool(await obtainCondor(), settings);
    try {
      for (const name of Object.keys(DAEMONS)) pool.#launch(name);
      await pool.#untilUp(settings.slots ?? 2);
    } catch (error) {
      await pool.stop();
      throw error;
    }
    return pool;
  }

  makeDirectory(name: string): string {
    const path = join(this.directory, name);
    mkdirSync(path, { recursive: true });
    this.#own(path);
    return path;
  }

  /** A file that belongs to the pool's user. */
  write(name: string, content: string | Uint8Array, mode = 0o644): string {
    const path = join(this.directory, name);
    writeFileSync(path, content);
    chmodSync(path, mode);
    this.#own(path);
    return path;
  }

  /** Runs a program as the pool's user, by default in the directory `jobs`; its standard output. */
  async run(
    command: string,
    args: readonly string[],
    cwd: string = join(this.directory, 'jobs'),
    timeout: number = COMMAND_LIMIT_MS,
  ): Promise<string> {
    const options = { cwd, env: this.env, timeout, ...this.user };
    const { stdout } = await run(command, [...args], options);
    return stdout;
  }

  /** Adds lines to a node's configuration and makes its startd read them. */
  async configure(node: NodeName, lines: string): Promise<void> {
    const path = join(this.directory, node, 'condor_config');
    appendFileSync(path, `\n${lines}\n`);
    const master = this.#masters[Object.keys(DAEMONS).indexOf(node)];
    master?.kill('SIGHUP'); // read the configuration again, and tell the others. Source: condor_master(1)
  }

  /** Pids of what runs on behalf of the pool, daemons and jobs, whoever their parents are. */
  processes(): number[] {
    const mark = this.directory;
    return readdirSync('/proc').flatMap((name) => {
      if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
      try {
        return readFileSync(`/proc/${name}/environ`, 'latin1').includes(mark) ? [Number(name)] : [];
      } catch {
        return []; // it has ended
      }
    });
  }

  /** Stops the daemons, kills what they leave, removes the directory. Idempotent. */
  async stop(): Promise<void> {
    const masters = this.#masters.splice(0).reverse();
    for (const master of masters) master.kill('SIGQUIT');
    const end = Date.now() + STOP_LIMIT_MS;
    while (Date.now() < end && masters.some(isRunning)) await sleep(50);
    for (const pid of this.processes()) tryKill(pid);
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #own(path: string): void {
    if (this.user !== undefined) chownSync(path, this.user.uid, this.user.gid);
  }

  #launch(name: string): void {
    const env = { ...this.env, CONDOR_CONFIG: join(this.directory, name, 'condor_config') };
    const master = spawn('condor_master', ['-f'], {
      cwd: this.directory,
      env,
      stdio: 'ignore',
      detached: true,
      ...this.user,
    });
    master.once('error', () => undefined); // seen as a pool that does not come up
    this.#masters.push(master);
  }

  async #untilUp(slotsPerNode: number): Promise<void> {
    const wanted = slotsPerNode * NODES.length;
    for (const end = Date.now() + START_LIMIT_MS; Date.now() < end; await sleep(100)) {
      if (!this.#masters.every(isRunning)) break;
      const slots = await this.run('condor_status', ['-af', 'Name']).catch(() => '');
      const schedds = await this.run('condor_status', ['-schedd', '-af', 'Name']).catch(() => '');
      if (slots.split('\n').length > wanted && schedds !== '') return;
    }
    throw new Error(`the pool does not come up:\n${this.#tellLogs()}`);
  }

  #tellLogs(): string {
    return Object.keys(DAEMONS)
      .map((name) => {
        const log = join(this.directory, name, 'log/MasterLog');
        try {
          return `${log}:\n${readFileSync(log, 'utf8').split('\n').slice(-15).join('\n')}`;
        } catch {
          return `${log} was not written`;
        }
      })
      .join('\n');
  }
}

const isRunning = (child: ChildProcess): boolean =>
  child.pid !== undefined && child.exitCode === null && child.signalCode === null;

function tryKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** Root runs the pool as the first ordinary user of the machine, because that is whom it is for. */
function ordinaryUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['1000', 'nobody']) {
    try {
      const [, , uid, gid] = execFileSync('getent', ['passwd', name], { encoding: 'utf8' }).split(':');
      return { uid: Number(uid), gid: Number(gid) };
    } catch {
      // There is none of that name.
    }
  }
  throw new Error('there is no ordinary user to run the pool');
}
