/**
 * SLURM without installing it: Debian's packages for this machine's release, unpacked, and a cluster of one node on loopback, as an ordinary
 * user. Its daemons authenticate nobody, which is what lets it run without munge.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { obtainCached } from '../debian/cached.ts';
import { Release } from '../debian/packages.ts';

const run = promisify(execFile);

/** The daemons, the commands, and libraries of theirs that small systems lack. */
const PACKAGES = [
  'slurmctld',
  'slurmd',
  'slurm-client',
  'slurm-wlm-basic-plugins',
  'libhwloc15',
  'liblz4-1',
  'libnuma1',
];
const OBTAIN_LIMIT_MS = 55_000;
/** As SLURM knows this machine: without its domain. */
const NODE = hostname().split('.', 1)[0] ?? '';
const START_LIMIT_MS = 30_000;
const LIBRARIES = 'usr/lib/x86_64-linux-gnu';

export class SlurmUnavailable extends Error {}

/** The directory that the packages are unpacked in; a few seconds and 4 MB when it is not there yet. */
async function obtain(): Promise<string> {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1] ?? 'unknown';
  try {
    return await obtainCached(`slurm-${suite}`, async (directory) => {
      await using packages = await Release.open(suite, AbortSignal.timeout(OBTAIN_LIMIT_MS));
      await packages.unpack(PACKAGES, directory);
      chmodSync(directory, 0o755);
    });
  } catch (error) {
    throw new SlurmUnavailable(`SLURM's packages of ${suite} cannot be had here: ${(error as Error).message}`);
  }
}

/** Source: slurm.conf(5). */
const configuration = (prefix: string, directory: string, port: number): string => `ClusterName=test
SlurmctldHost=${NODE}(127.0.0.1)
SlurmUser=${userId()}
SlurmdUser=${userId()}
AuthType=auth/none
CredType=cred/none
PluginDir=${join(prefix, LIBRARIES, 'slurm-wlm')}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1
SlurmctldPort=${port}
SlurmdPort=${port + 1}
StateSaveLocation=${directory}/state
SlurmdSpoolDir=${directory}/spool
SlurmctldPidFile=${directory}/slurmctld.pid
SlurmdPidFile=${directory}/slurmd.pid
SlurmctldLogFile=${directory}/slurmctld.log
SlurmdLogFile=${directory}/slurmd.log
NodeName=${NODE} NodeAddr=127.0.0.1 CPUs=1 State=UNKNOWN
PartitionName=all Nodes=${NODE} Default=YES MaxTime=INFINITE State=UP
`;

const userId = (): number => (process.getuid?.() === 0 ? 1000 : (process.getuid?.() ?? 1000));

export class SlurmCluster implements AsyncDisposable {
  readonly directory: string;
  /** For SLURM's commands, and what jobs are submitted with. */
  readonly env: Readonly<Record<string, string>>;
  readonly #programs: string;
  readonly #daemons: ChildProcess[] = [];

  private constructor(prefix: string) {
    this.directory = mkdtempSync(join(tmpdir(), 'slurm-'));
    chmodSync(this.directory, 0o755);
    this.#own(this.directory);
    for (const name of ['state', 'spool']) this.makeDirectory(name);
    const port = randomInt(12_000, 31_000);
    writeFileSync(join(this.directory, 'slurm.conf'), configuration(prefix, this.directory, port));
    this.#programs = join(prefix, 'usr/sbin');
    this.env = {
      PATH: [join(prefix, 'usr/bin'), '/usr/local/bin', '/usr/bin', '/bin'].join(':'),
      LD_LIBRARY_PATH: [join(prefix, LIBRARIES), join(prefix, LIBRARIES, 'slurm-wlm')].join(':'),
      SLURM_CONF: join(this.directory, 'slurm.conf'),
      HOME: this.directory,
    };
  }

  /** @throws {SlurmUnavailable} when this machine cannot have one, with the reason. */
  static async start(): Promise<SlurmCluster> {
    const cluster = new SlurmCluster(await obtain());
    try {
      cluster.#launch('slurmctld-wlm');
      cluster.#launch('slurmd-wlm', '-d', join(cluster.#programs, 'slurmstepd-wlm'));
      await cluster.#untilIdle();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  makeDirectory(name: string): string {
    const path = join(this.directory, name);
    mkdirSync(path, { recursive: true });
    this.#own(path);
    return path;
  }

  /** Runs one of SLURM's commands as the cluster's user; its standard output. */
  async run(command: string, args: readonly string[], cwd: string = this.directory): Promise<string> {
    const { stdout } = await run(command, [...args], { cwd, env: this.env, timeout: 30_000, ...this.#user() });
    return stdout;
  }

  /** Waits until `scontrol show job` matches. */
  async untilJob(id: string, is: RegExp): Promise<string> {
    let text = '';
    for (const end = Date.now() + 60_000; Date.now() < end; await sleep(100)) {
      text = await this.run('scontrol', ['show', 'job', id]);
      if (is.test(text)) return text;
    }
    throw new Error(`job ${id} is not ${is}:\n${text}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.#daemons.map(
      (daemon) => daemon.exitCode !== null || new Promise((resolve) => daemon.once('close', resolve)),
    );
    for (const daemon of this.#daemons) daemon.kill('SIGTERM');
    const late = setTimeout(() => {
      for (const daemon of this.#daemons) daemon.kill('SIGKILL');
    }, 5000);
    await Promise.all(ended);
    clearTimeout(late);
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  #user(): { uid?: number; gid?: number } {
    return process.getuid?.() === 0 ? { uid: userId(), gid: userId() } : {};
  }

  #own(path: string): void {
    if (process.getuid?.() === 0) chownSync(path, userId(), userId());
  }

  #launch(program: string, ...args: readonly string[]): void {
    const options = { cwd: this.directory, env: this.env, stdio: 'ignore', ...this.#user() } as const;
    const daemon = spawn(join(this.#programs, program), ['-D', ...args], options);
    daemon.once('error', () => undefined); // seen as a cluster that does not come up
    this.#daemons.push(daemon);
  }

  async #untilIdle(): Promise<void> {
    let said = '';
    for (const end = Date.now() + START_LIMIT_MS; Date.now() < end; await sleep(100)) {
      if (this.#daemons.some((daemon) => daemon.pid === undefined || daemon.exitCode !== null)) break;
      said = await this.run('sinfo', ['-h', '-o', '%T']).catch((error: Error) => error.message);
      if (said === 'idle\n') return;
    }
    throw new SlurmUnavailable(`SLURM does not come up here: ${said.trim()}\n${this.#tellLogs()}`);
  }

  #tellLogs(): string {
    const paths = ['slurmctld.log', 'slurmd.log'].map((name) => join(this.directory, name)).filter(existsSync);
    return paths.map((path) => readFileSync(path, 'utf8').split('\n').slice(-8).join('\n')).join('\n');
  }
}
