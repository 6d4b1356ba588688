/** `--vacate-after`, which a job is given and a submit file passes on. */

import { UsageError } from '../errors.ts';
import { parseDuration } from '../util/duration.ts';

/** What setTimeout can count. */
const LONGEST_TIMER_MS = 24 * 86_400_000;

/** Milliseconds. @throws {UsageError} */
export function parseVacateAfter(text: string): number {
  const ms = parseDuration(text, '--vacate-after');
  if (ms < 1000 || ms > LONGEST_TIMER_MS) throw new UsageError('--vacate-after: from 1s to 24d');
  return ms;
}
