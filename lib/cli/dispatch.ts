/** Finds the subcommand, runs it, and ends the process as it says. */

import { UsageError } from '../errors.ts';
import type { ProcessEnd } from '../job/exit-status.ts';
import type { Command } from './command.ts';
import { formatError } from './error-block.ts';
import { endProcess, exitCodeOf, exitWith, success } from './exit.ts';
import { formatHelp } from './help.ts';
import { isClassic } from './invocation.ts';
import { requireNode } from './node-version.ts';
import { readVersion } from './version.ts';

/** A job pays for loading no other command than its own; the order is that of the help. */
const LOADERS: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import('./run.ts')).runCommand,
  ls: async () => (await import('./ls.ts')).lsCommand,
  show: async () => (await import('./show.ts')).showCommand,
  verify: async () => (await import('./verify.ts')).verifyCommand,
  rm: async () => (await import('./rm.ts')).rmCommand,
  checkpoint: async () => (await import('./checkpoint.ts')).checkpointCommand,
  restart: async () => (await import('./restart.ts')).restartCommand,
  doctor: async () => (await import('./doctor.ts')).doctorCommand,
  submit: async () => (await import('./submit.ts')).submitCommand,
  advertise: async () => (await import('./advertise.ts')).advertiseCommand,
  gc: async () => (await import('./gc.ts')).gcCommand,
};

export async function loadCommand(name = ''): Promise<Command | undefined> {
  return Object.hasOwn(LOADERS, name) ? await LOADERS[name]?.() : undefined;
}

async function loadCommands(): Promise<readonly Command[]> {
  return await Promise.all(Object.values(LOADERS).map((load) => load()));
}

/** `blcr …`. Ends the process. */
export async function dispatch(args: readonly string[]): Promise<never> {
  const [name, ...rest] = args;
  if (name === '--version') return await print(`${await readVersion()}\n`);
  if (name === 'help' || name === '--help' || name === '-h') return await help(rest[0]);
  const command = await loadCommand(name);
  if (command !== undefined) return await perform(`blcr ${command.name}`, command, rest);
  const what = name === undefined ? 'no command was given' : `'${name}' is no command`;
  process.stderr.write(formatError('blcr', new UsageError(what), formatHelp(await loadCommands())));
  return await endProcess(exitWith(64));
}

/** `blcr_wrapper …`: the classic arguments, or a subcommand, since a submit file names one executable only. Ends the process. */
export async function dispatchClassic(args: readonly string[]): Promise<never> {
  const [name = ''] = args;
  const isSubcommand = ['--version', 'help'].includes(name) || Object.hasOwn(LOADERS, name);
  if (isSubcommand && !isClassic(args)) return await dispatch(args);
  const { classicCommand } = await import('./classic.ts');
  return await perform(classicCommand.name, classicCommand, args);
}

async function help(name: string | undefined): Promise<never> {
  const command = await loadCommand(name);
  return await print(`${command === undefined ? formatHelp(await loadCommands()) : command.usage}\n`);
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
    requireNode();
    return await command.run(args);
  } catch (error) {
    const code = exitCodeOf(error);
    const isUsage = error instanceof UsageError && error.code === 'ERR_USAGE';
    process.stderr.write(
      formatError(what, error, isUsage ? `${synopsis(command)}\n${what} --help tells more` : undefined),
    );
    return exitWith(code);
  }
}

/** How it is called, without what its options mean: an error at the top of a page of help is easily missed. */
const synopsis = ({ usage }: Command): string => usage.split('\n\n', 1)[0] ?? '';

async function print(text: string): Promise<never> {
  process.stdout.write(text);
  return await endProcess(success);
}

/** `blcr ls | head`: the reader has seen enough. */
function ignoreClosedReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
