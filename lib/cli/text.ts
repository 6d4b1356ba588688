/** Events and answers for people. */

import type { JobEvent } from '../job/events.ts';
import { formatBytes } from '../util/bytes.ts';
import { formatDuration } from '../util/duration.ts';

type EventOf<Name extends JobEvent['event']> = Extract<JobEvent, { event: Name }>;

/** One line, or undefined for what is not worth one. */
export function formatEvent(event: JobEvent): string | undefined {
  switch (event.event) {
    case 'started':
      return event.resumedFrom === undefined
        ? `${event.id}: started as process ${event.pid}`
        : `${event.id}: resumed from checkpoint ${event.resumedFrom} in ${formatDuration(event.restartMs)}, ${formatDuration(event.savedMs)} of work saved`;
    case 'connected':
      return `${event.id}: store ${event.store}, incarnation ${event.epoch}`;
    case 'checkpoint':
      return formatCheckpoint(event);
    case 'warning':
      return `${event.id}: ${event.message} (${event.code}); ${event.consequence}`;
    case 'vacating':
      return `${event.id}: evicted, ${formatDuration(event.deadlineMs)} for a last checkpoint`;
    case 'ended':
      return `${event.id}: ${formatEnd(event)} after ${formatDuration(event.runtimeMs)} of run time`;
    case 'progress':
      return undefined;
  }
}

export const formatProgress = (event: EventOf<'progress'>): string =>
  `${event.id}: checkpoint (${event.reason}): ${formatBytes(event.bytes)} read, ${formatBytes(event.shipped)} shipped`;

function formatCheckpoint(event: EventOf<'checkpoint'>): string {
  // Genuine BLCR does not tell.
  const isTold = event.snapshot !== 'unknown';
  const how = isTold ? `${event.reason}, ${event.snapshot}` : event.reason;
  const stop = isTold ? `stopped ${formatDuration(event.stopUs / 1000)}` : 'stopped meanwhile';
  const files = event.fileBytes === 0 ? '' : ` and ${formatBytes(event.fileBytes)} of files`;
  return `${event.id}: checkpoint ${event.sequence} (${how}): ${stop}, ${formatBytes(event.contextBytes)}${files}, ${formatBytes(event.storedBytes)} shipped in ${formatDuration(event.totalMs)}`;
}

function formatEnd(event: EventOf<'ended'>): string {
  switch (event.reason) {
    case 'exited':
      return `ended with exit code ${event.exitCode}`;
    case 'signaled':
      return `died of ${event.signal}`;
    case 'vacated':
      return 'evicted; run it again to go on';
    case 'fenced':
      return 'stopped, because a newer run of this job has taken over';
  }
}

/** Rows under headings, columns as wide as they need to be; numbers stand on the right. */
export function formatTable(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const lines = [headings, ...rows].map((row) => row.map(String));
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const isNumeric = headings.map((_, column) => rows.every((row) => /^[\d.]/.test(String(row[column] ?? '0'))));
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          isNumeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export const formatTime = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
