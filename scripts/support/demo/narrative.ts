/** What the demo says: time-stamped lines while it goes on, tables at the end of an act. */
const started = performance.now();

export function say(text: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(6);
  process.stdout.write(`${seconds} s  ${text}\n`);
}

export function heading(text: string): void {
  process.stdout.write(`\n── ${text} ${'─'.repeat(Math.max(0, 100 - text.length))}\n`);
}

export function table(columns: readonly string[], rows: readonly (readonly string[])[]): void {
  const lines = [columns, ...rows];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  process.stdout.write('\n');
  for (const line of lines) {
    process.stdout.write(`  ${line.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  ')}\n`);
  }
  process.stdout.write('\n');
}

export const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
export const seconds = (ms: number): string => (ms / 1000).toFixed(1);
