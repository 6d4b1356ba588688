/** What the job layer needs of the layer below: a library, requests to it, and a way to start a program under its keeper. */

import type {
  CheckpointOptions,
  ExitStatus,
  PendingCheckpoint,
  PendingRestart,
  Provider,
  RestartOptions,
} from '../checkpoint/types.ts';
import type { CpuBaseline } from './cpu-baseline.ts';

export interface LaunchRequest {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Descriptors of this process that become the program's stdin, stdout and stderr. */
  readonly stdio: readonly [number, number, number];
  /** What the program is confined to; `env` says so to its libraries already. */
  readonly cpuBaseline?: CpuBaseline | undefined;
  /** Told, in words, of what the program does not get as it is here. */
  readonly onLimitation: (message: string) => void;
  /** As in RestartOptions. */
  readonly onStoreRequest?: () => Promise<unknown>;
}

/** A job that runs, however it came to. */
export interface RunningProcess {
  /** The child of this process that stands for the job. */
  readonly pid: number;
  /** What a checkpoint request names. */
  readonly target: number;
  readonly exit: Promise<ExitStatus>;
  /** Passes a signal on to the program's root. Quietly does nothing when it is gone. */
  signal(name: NodeJS.Signals): void;
  /** Sends a signal to every process of the job. */
  signalAll(name: NodeJS.Signals): void;
  /** Kills the whole job. `exit` tells when it is over. */
  kill(): void;
}

export interface Engine {
  readonly kind: 'userspace' | 'blcr';
  launch(request: LaunchRequest): Promise<RunningProcess>;
  checkpoint(options: CheckpointOptions): PendingCheckpoint;
  restart(options: RestartOptions): PendingRestart;
  /** The running job behind a successful restart. */
  adopt(restarted: { readonly pid: number; readonly exit: Promise<ExitStatus> }): RunningProcess;
}

export type EngineFactory = () => Engine;
export type { Provider };
