/**
 * Where events go. A terminal gets progress for people, a pipe one line per event. A regular file as stderr belongs to the job, whose output
 * must not differ from an uninterrupted run's: there nothing is written, `.blcr/events.log` has it all.
 */

import { fstatSync } from 'node:fs';
import type { JobEvent } from '../job/events.ts';
import { formatJson } from './json.ts';
import { formatEvent, formatProgress } from './text.ts';

const PROGRESS_INTERVAL_MS = 100;
const CLEAR_LINE = '\r\u001b[K';

/** @param stream Standard error, whose kind decides. */
export function createReporter(
  isJson: boolean,
  stream: NodeJS.WriteStream = process.stderr,
): (event: JobEvent) => void {
  if (isJson) return (event) => write(stream, formatJson(event));
  if (stream.isTTY) return terminalReporter(stream);
  if (isRegularFile(2)) return () => undefined;
  return (event) => {
    const text = formatEvent(event);
    if (text !== undefined) write(stream, `blcr: ${text}\n`);
  };
}

function terminalReporter(stream: NodeJS.WriteStream): (event: JobEvent) => void {
  let last = 0;
  return (event) => {
    if (event.event === 'progress') {
      if (event.time - last < PROGRESS_INTERVAL_MS) return;
      last = event.time;
      write(stream, `${CLEAR_LINE}blcr: ${formatProgress(event)}`);
      return;
    }
    const text = formatEvent(event);
    if (text !== undefined) write(stream, `${CLEAR_LINE}blcr: ${text}\n`);
  };
}

/** A reader that has gone away is no reason to disturb the job. */
function write(stream: NodeJS.WriteStream, text: string): void {
  if (stream.writable) stream.write(text, () => undefined);
}

function isRegularFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    return false; // closed: writing is without effect as well
  }
}
