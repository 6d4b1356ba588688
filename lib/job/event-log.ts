/** The wrapper's own log, kept apart from the job's output: `.blcr/events.log` below the scratch directory, one JSON record a line. */

import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JobEvent } from './events.ts';
import { OWN_DIRECTORY } from './scratch-owner.ts';

/** Room for the events of a disk that has become full. */
const RESERVED_BYTES = 64 * 1024;

export class EventLog {
  readonly #path: string;
  readonly #reserve: string;

  constructor(scratch: string) {
    this.#path = join(scratch, OWN_DIRECTORY, 'events.log');
    this.#reserve = join(scratch, OWN_DIRECTORY, 'reserve');
  }

  /** Keeps room on the disk until the job has ended. */
  reserve(): this {
    attempt(() => writeFileSync(this.#reserve, Buffer.alloc(RESERVED_BYTES)));
    return this;
  }

  readonly listener = (event: JobEvent): void => {
    if (event.event === 'progress') return;
    const append = (): void => appendFileSync(this.#path, formatRecord(event));
    const isWritten = attempt(append);
    if (isWritten && event.event !== 'ended') return;
    attempt(() => rmSync(this.#reserve));
    if (!isWritten) attempt(append);
  };
}

/** A full disk must not cost the job more than its log. */
function attempt(operation: () => void): boolean {
  try {
    operation();
    return true;
  } catch {
    return false;
  }
}

/** One line of JSON: the event's fields as they are (times in milliseconds since 1970), errors by code and message only. */
export function formatRecord(event: JobEvent): string {
  return `${JSON.stringify(event, (name, value: unknown) => (name === 'error' ? undefined : value))}\n`;
}
