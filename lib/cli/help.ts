import type { Command } from './command.ts';

/** The list of commands. */
export function formatHelp(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `blcr <command> [options]

${lines.join('\n')}
  ${'help'.padEnd(width)}  what a command takes: blcr help <command>

$BLCR_STORE and $BLCR_KEY_FILE stand for --store and --key-file.`;
}
