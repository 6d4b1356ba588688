/** A real chirp_server on loopback with a private root; started, killed, restarted and removed by the tests that use it. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const HOST = '127.0.0.1';
/** Long, for emulated machines: it is not waited for in vain anywhere. */
const START_LIMIT_MS = 120_000;

export interface ServerOptions {
  /** Address to listen on, default 127.0.0.1. */
  readonly host?: string;
  /** Login methods offered, default hostname, address, unix, ticket. */
  readonly auth?: readonly string[];
  /** Content of the root's ACL, default all rights for hostname:localhost, address:127.0.0.1 and unix:*. */
  readonly acl?: string;
  /** Seconds after which an idle client is dropped. */
  readonly idle?: number;
  /** Seconds after which a stalled transfer is dropped. */
  readonly stall?: number;
  /** Quota of the root, e.g. `10MB`. */
  readonly quota?: string;
  /** Root on a tmpfs of this size, e.g. `8M`; only as root. */
  readonly size?: string;
  /** As root: the user the server becomes, default nobody. */
  readonly user?: string;
  /** More arguments for chirp_server. */
  readonly args?: readonly string[];
}

/** Whether chirp_server is installed; tests say so when they skip. */
export function hasChirpServer(): boolean {
  try {
    execFileSync('chirp_server', ['-v'], { stdio: 'ignore' });
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

export class ChirpServer implements AsyncDisposable {
  readonly host: string;
  /** Directory that clients see as /. */
  readonly root: string;
  /** Where method unix wants its files. */
  readonly challengeDirectory: string;
  port = 0;
  readonly #base: string;
  readonly #options: ServerOptions;
  readonly #isMounted: boolean;
  #process: ChildProcess | undefined;

  private constructor(options: ServerOptions) {
    this.#options = options;
    this.host = options.host ?? HOST;
    this.#base = mkdtempSync(join(tmpdir(), 'chirp-test-'));
    chmodSync(this.#base, 0o755);
    this.root = join(this.#base, 'root');
    this.challengeDirectory = join(this.#base, 'challenges');
    mkdirSync(this.root);
    mkdirSync(this.challengeDirectory);
    chmodSync(this.challengeDirectory, 0o1777);
    this.#isMounted = options.size !== undefined;
    if (this.#isMounted) execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${options.size}`, 'tmpfs', this.root]);
    const acl = 'hostname:localhost rwlda\naddress:127.0.0.1 rwlda\nunix:* rwlda\n';
    writeFileSync(join(this.root, '.__acl'), options.acl ?? acl);
    this.#giveAway();
  }

  static async start(options: ServerOptions = {}): Promise<ChirpServer> {
    const server = new ChirpServer(options);
    try {
      await server.#launch();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** Ends the server and all its connections without warning. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // The whole group: each connection has a process of its own.
    if (child.pid !== undefined) signalGroup(child.pid);
    if (child.exitCode === null && child.signalCode === null) await ended;
  }

  /** Starts it again on the same port, with the same root. */
  async restart(): Promise<void> {
    await this.kill();
    await this.#launch();
  }

  /** Ends the server and removes everything it had. Idempotent. */
  async stop(): Promise<void> {
    await this.kill();
    if (this.#isMounted) execFileSync('umount', ['-l', this.root]);
    rmSync(this.#base, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** The server refuses to be root, and its files must belong to whom it becomes. */
  #giveAway(): void {
    if (process.getuid?.() !== 0) return;
    const user = this.#user();
    const uid = Number(execFileSync('id', ['-u', user], { encoding: 'utf8' }));
    const gid = Number(execFileSync('id', ['-g', user], { encoding: 'utf8' }));
    for (const path of [this.#base, this.root, this.challengeDirectory, join(this.root, '.__acl')])
      chownSync(path, uid, gid);
  }

  #user(): string {
    return this.#options.user ?? 'nobody';
  }

  async #launch(): Promise<void> {
    const portFile = join(this.#base, 'port');
    rmSync(portFile, { force: true });
    const log = join(this.#base, 'log');
    // Below the range from which the kernel takes ports of outgoing connections; each run starts elsewhere.
    const low = randomInt(12_000, 31_000);
    const child = spawn('chirp_server', this.#arguments(portFile, log), {
      env: { ...process.env, TCP_LOW_PORT: String(low), TCP_HIGH_PORT: String(low + 1000) },
      stdio: 'ignore',
      detached: true,
    });
    this.#process = child;
    let failure: Error | undefined;
    child.once('error', (error) => {
      failure = error;
    });
    for (const end = Date.now() + START_LIMIT_MS; ; await sleep(10)) {
      if (failure !== undefined) throw failure;
      if (child.exitCode !== null || child.signalCode !== null || Date.now() > end) {
        throw new Error(`chirp_server does not start: ${readIfThere(log)}`);
      }
      if (await this.#isUp(portFile)) return;
    }
  }

  async #isUp(portFile: string): Promise<boolean> {
    if (this.port !== 0) return await canConnect(this.host, this.port);
    const text = readIfThere(portFile);
    // Written in place: complete with its line feed.
    if (!text.endsWith('\n')) return false;
    this.port = Number(text);
    return true;
  }

  #arguments(portFile: string, log: string): string[] {
    const { auth = ['hostname', 'address', 'unix', 'ticket'], idle, stall, quota, args = [] } = this.#options;
    const transient = join(this.#base, 'transient');
    mkdirSync(transient, { recursive: true });
    chmodSync(transient, 0o1777);
    return [
      ...['-r', this.root, '-I', this.host, '-y', transient, '-c', this.challengeDirectory, '-o', log],
      // No reports to the outer world, no look-ups, and an end when we end.
      ...['-u', '-', '-n', 'localhost', '-E'],
      ...(this.port === 0 ? ['-Z', portFile] : ['-p', String(this.port)]),
      ...auth.flatMap((method) => ['-a', method]),
      ...(idle === undefined ? [] : ['-t', `${idle}s`]),
      ...(stall === undefined ? [] : ['-s', `${stall}s`]),
      ...(quota === undefined ? [] : ['-Q', quota]),
      ...(process.getuid?.() === 0 ? ['-i', this.#user()] : []),
      ...args,
    ];
  }
}

function signalGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function canConnect(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
