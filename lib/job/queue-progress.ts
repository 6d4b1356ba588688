/** Checkpoints as seen from the queue: attributes for condor_q and lines in the user log, when the job has a line there. */

import { findProxy, logLine, type ProxyAddress, setAttribute, tellProxy } from '../condor/proxy.ts';
import { formatBytes } from '../util/bytes.ts';
import type { CheckpointEvent, JobEvent } from './events.ts';

/** The last message is not worth more of an eviction's time. */
const PATIENCE_MS = 1000;

export class QueueProgress {
  readonly #proxy: ProxyAddress | undefined;
  /** Messages go one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(env: NodeJS.ProcessEnv) {
    this.#proxy = findProxy(env);
  }

  readonly listener = (event: JobEvent): void => {
    const proxy = this.#proxy;
    if (proxy === undefined) return;
    const commands = commandsFor(event);
    if (commands.length > 0) this.#last = this.#last.then(() => tellProxy(proxy, commands));
  };

  /** Waits a little for messages that are under way. */
  async settled(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS);
    });
    await Promise.race([this.#last, patience]);
    clearTimeout(timer);
  }
}

function commandsFor(event: JobEvent): readonly string[] {
  if (event.event === 'checkpoint') return describeCheckpoint(event, event.time);
  if (event.event !== 'started' || event.resumedFrom === undefined) return [];
  return [logLine(`blcr: resumed from checkpoint ${event.resumedFrom}`)];
}

const describeCheckpoint = (checkpoint: CheckpointEvent, time: number): readonly string[] => [
  setAttribute('ChirpBlcrCheckpoints', checkpoint.sequence),
  setAttribute('ChirpBlcrLastCheckpoint', Math.floor(time / 1000)),
  setAttribute('ChirpBlcrBytes', checkpoint.contextBytes + checkpoint.fileBytes),
  setAttribute('ChirpBlcrShippedBytes', checkpoint.storedBytes),
  logLine(
    `blcr: checkpoint ${checkpoint.sequence} (${checkpoint.reason}), ${formatBytes(checkpoint.storedBytes)} shipped`,
  ),
];
