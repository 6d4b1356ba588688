/** Reads the wrapper's `.blcr/events.log`. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JobEvent } from '../../lib/job/events.ts';

export type CheckpointRecord = Extract<JobEvent, { event: 'checkpoint' }>;
export type StartRecord = Extract<JobEvent, { event: 'started' }>;

/** All events so far of the incarnation that runs (or ran) in `scratch`; a line that is still being written is left out. */
export function readEvents(scratch: string): readonly JobEvent[] {
  const path = join(scratch, '.blcr/events.log');
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as JobEvent);
}

export function checkpointsOf(events: readonly JobEvent[]): readonly CheckpointRecord[] {
  return events.flatMap((event) => (event.event === 'checkpoint' ? [event] : []));
}

/** How the incarnation came to run its job; undefined before it does. */
export function startOf(events: readonly JobEvent[]): StartRecord | undefined {
  return events.flatMap((event) => (event.event === 'started' ? [event] : []))[0];
}
