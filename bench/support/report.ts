/** Tables of results on standard output, with the target beside what was reached. */
import { cpus, release } from 'node:os';

export interface Row {
  readonly what: string;
  readonly cells: readonly string[];
  /** Undefined for rows that are reported without a target. */
  readonly target?: string;
  readonly isReached?: boolean;
}

export function printHeader(name: string): void {
  const model = cpus()[0]?.model ?? 'unknown';
  process.stdout.write(`\n${name}: ${cpus().length} × ${model}, Linux ${release()}, Node ${process.version}\n`);
}

/** @param columns Titles of the cells; `target` and `verdict` are added. */
export function printTable(columns: readonly string[], rows: readonly Row[]): void {
  const verdict = (row: Row) => (row.isReached === undefined ? '' : row.isReached ? 'reached' : 'MISSED');
  const lines = [
    ['', ...columns, 'target', ''],
    ...rows.map((row) => [row.what, ...row.cells, row.target ?? '', verdict(row)]),
  ];
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length))) ?? [];
  for (const line of lines) {
    const cells = line.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    process.stdout.write(`${cells.join('  ').trimEnd()}\n`);
  }
}

export const milliseconds = (value: number): string => `${value < 10 ? value.toFixed(2) : value.toFixed(1)} ms`;
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
export const rate = (bytesPerSecond: number): string => `${(bytesPerSecond / 1e9).toFixed(2)} GB/s`;
export const percent = (fraction: number): string => `${(fraction * 100).toFixed(1)} %`;
export const ratio = (value: number): string => value.toFixed(3);
/** A small ratio as the fraction that the targets are given in. */
export const fraction = (value: number): string => `1/${(1 / value).toFixed(1)}`;
