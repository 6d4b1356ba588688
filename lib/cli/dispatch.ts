/** Finds the subcommand, runs it, and ends the process as it says. */

import { UsageError } from '../errors.ts';
import type { ProcessEnd } from '../job/exit-status.ts';
import { advertiseCommand } from './advertise.ts';
import { checkpointCommand } from './checkpoint.ts';
import { classicCommand } from './classic.ts';
import type { Command } from './command.ts';
import { doctorCommand } from './doctor.ts';
import { formatError } from './error-block.ts';
import { endProcess, exitCodeOf, exitWith, success } from './exit.ts';
import { gcCommand } from './gc.ts';
import { formatHelp } from './help.ts';
import { isClassic } from './invocation.ts';
import { lsCommand } from './ls.ts';
import { restartCommand } from './restart.ts';
import { rmCommand } from './rm.ts';
import { runCommand } from './run.ts';
import { showCommand } from './show.ts';
import { submitCommand } from './submit.ts';
import { verifyCommand } from './verify.ts';
import { readVersion } from './version.ts';

export const COMMANDS: readonly Command[] = [
  runCommand,
  lsCommand,
  showCommand,
  verifyCommand,
  rmCommand,
  checkpointCommand,
  restartCommand,
  doctorCommand,
  submitCommand,
  advertiseCommand,
  gcCommand,
];

/** `blcr …`. Ends the process. */
export async function dispatch(args: readonly string[]): Promise<never> {
  const [name, ...rest] = args;
  if (name === '--version') return await print(`${await readVersion()}\n`);
  if (name === 'help' || name === '--help' || name === '-h') return await help(rest[0]);
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command !== undefined) return await perform(`blcr ${command.name}`, command, rest);
  const what = name === undefined ? 'no command was given' : `'${name}' is no command`;
  process.stderr.write(formatError('blcr', new UsageError(what), formatHelp(COMMANDS)));
  return await endProcess(exitWith(64));
}

/** `blcr_wrapper …`: the classic arguments, or a subcommand, since a submit file names one executable only. Ends the process. */
export async function dispatchClassic(args: readonly string[]): Promise<never> {
  const [name = ''] = args;
  const isSubcommand = ['--version', 'help'].includes(name) || COMMANDS.some((command) => command.name === name);
  if (isSubcommand && !isClassic(args)) return await dispatch(args);
  return await perform(classicCommand.name, classicCommand, args);
}

async function help(name: string | undefined): Promise<never> {
  const command = COMMANDS.find((candidate) => candidate.name === name);
  return await print(`${command === undefined ? formatHelp(COMMANDS) : command.usage}\n`);
}

async function perform(what: string, command: Command, args: readonly string[]): Promise<never> {
  process.stdout.on('error', ignoreClosedReader);
  if (isHelpRequest(args)) return await print(`${command.usage}\n`);
  return await endProcess(await attempt(what, command, args));
}

/** Only our own argument: what follows a program's name is the program's. */
const isHelpRequest = ([first]: readonly string[]): boolean => first === '--help' || first === '-h';

async function attempt(what: string, command: Command, args: readonly string[]): Promise<ProcessEnd> {
  try {
    return await command.run(args);
  } catch (error) {
    const code = exitCodeOf(error);
    const isUsage = error instanceof UsageError && error.code === 'ERR_USAGE';
    process.stderr.write(formatError(what, error, isUsage ? command.usage : undefined));
    return exitWith(code);
  }
}

async function print(text: string): Promise<never> {
  process.stdout.write(text);
  return await endProcess(success);
}

/** `blcr ls | head`: the reader has seen enough. */
function ignoreClosedReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
