/** Lengths of time as people write them: `30s`, `1.5h`, `90m`, `2d`, `250ms`. */

import { UsageError } from '../errors.ts';

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const PATTERN = /^(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|h|d)?$/;

/** Longer periods are typing errors, and would not fit the arithmetic of a timer. */
const MAXIMUM_MS = 10 * 365 * 86_400_000;

/**
 * Milliseconds of a written length of time.
 * @param text Decimal number with a unit out of ms, s, m, h, d.
 * @param name What the value is for, used in the message of an error.
 * @param bareUnit Unit of a number without one; without this parameter such a number is refused.
 * @throws {UsageError} code `ERR_USAGE` for anything else.
 */
export function parseDuration(text: string, name: string, bareUnit?: 'ms' | 's' | 'm' | 'h' | 'd'): number {
  const match = PATTERN.exec(text.trim());
  const unit = match?.[2] ?? bareUnit;
  if (match === null || unit === undefined) {
    throw new UsageError(
      `${name}: '${text}' is not a length of time; write a number with a unit, such as 30s, 1.5h or 2d`,
    );
  }
  const ms = Number(match[1]) * (UNIT_MS[unit] ?? Number.NaN);
  if (!(ms <= MAXIMUM_MS)) throw new UsageError(`${name}: '${text}' is longer than ten years`);
  return Math.round(ms);
}

/** `75 ms`, `12.3 s`, `4 min 05 s`, `2 h 10 min`: for people, so rounded. @param ms Milliseconds, not negative. */
export function formatDuration(ms: number): string {
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}
