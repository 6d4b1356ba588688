/** The wrapper's own log, kept apart from the job's output: `.blcr/events.log` below the scratch directory, one JSON record a line. */

import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JobEvent } from './events.ts';
import { OWN_DIRECTORY } from './scratch.ts';

export class EventLog {
  readonly #path: string;

  constructor(scratch: string) {
    this.#path = join(scratch, OWN_DIRECTORY, 'events.log');
  }

  readonly listener = (event: JobEvent): void => {
    if (event.event === 'progress') return;
    try {
      appendFileSync(this.#path, formatRecord(event));
    } catch {
      // A full disk must not cost the job more than its log.
    }
  };
}

/** One line of JSON: the event's fields as they are (times in milliseconds since 1970), errors by code and message only. */
export function formatRecord(event: JobEvent): string {
  return `${JSON.stringify(event, (name, value: unknown) => (name === 'error' ? undefined : value))}\n`;
}
