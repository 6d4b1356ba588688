import { UsageError } from '../errors.ts';

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `812 bytes`, `3.4 MiB`: for people, so rounded. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${UNITS[unit]}`;
}

const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 1024,
  mi: 1024 ** 2,
  gi: 1024 ** 3,
};

/**
 * Bytes per second of a written rate: `500kB`, `5MB/s`, `1.5MiB`, `20M`. Without an i the units are decimal ones, as of networks.
 * @param name What the value is for, used in the message of an error.
 * @throws {UsageError} code `ERR_USAGE` for anything else.
 */
export function parseRate(text: string, name: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]i?)?b?(?:\/s)?$/i.exec(text.trim());
  const factor = FACTORS[(match?.[2] ?? '').toLowerCase()];
  if (match === null || factor === undefined)
    throw new UsageError(`${name}: '${text}' is not a rate; write bytes per second such as 500kB, 5MB or 1.5MiB`);
  return Math.round(Number(match[1]) * factor);
}
