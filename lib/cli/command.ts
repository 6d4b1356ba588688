/** What a subcommand is, and how it reads its arguments. */

import { type ParseArgsConfig, parseArgs } from 'node:util';
import { UsageError } from '../errors.ts';
import type { ProcessEnd } from '../job/exit-status.ts';
import { errorMessage } from '../util/error-facts.ts';

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Shown by help and with a usage error. */
  readonly usage: string;
  run(args: readonly string[]): Promise<ProcessEnd>;
}

export type OptionSpecs = NonNullable<ParseArgsConfig['options']>;

export interface Arguments {
  readonly positionals: readonly string[];
  text(name: string): string | undefined;
  flag(name: string): boolean;
  all(name: string): readonly string[];
}

/** @throws {UsageError} for an option that is not known, lacks its value or has one too many. */
export function parseArguments(args: readonly string[], options: OptionSpecs): Arguments {
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new UsageError(errorMessage(cause), { cause });
  }
  const { values, positionals } = parsed;
  return {
    positionals,
    text: (name) => (typeof values[name] === 'string' ? values[name] : undefined),
    flag: (name) => values[name] === true,
    all: (name) => (Array.isArray(values[name]) ? (values[name] as string[]) : []),
  };
}

/** Splits `[options] [--] program args…`: nothing after the program's name is an option of ours. */
export function splitProgram(
  args: readonly string[],
  options: OptionSpecs,
): { readonly own: readonly string[]; readonly program: readonly string[] } {
  const { tokens } = parseArgs({ args: [...args], options, allowPositionals: true, strict: false, tokens: true });
  const end = tokens.find(({ kind }) => kind === 'positional' || kind === 'option-terminator');
  if (end === undefined) return { own: args, program: [] };
  return {
    own: args.slice(0, end.index),
    program: args.slice(end.kind === 'option-terminator' ? end.index + 1 : end.index),
  };
}

/** @throws {UsageError} unless there are as many as there are names. */
export function expectPositionals(found: readonly string[], ...names: readonly string[]): readonly string[] {
  if (found.length === names.length) return found;
  const missing = names[found.length];
  throw new UsageError(
    missing === undefined ? `too many arguments: ${found.slice(names.length).join(' ')}` : `${missing} is missing`,
  );
}

/** @throws {UsageError} */
export function parseCount(text: string, name: string): number {
  if (!/^\d+$/.test(text)) throw new UsageError(`${name}: '${text}' is not a whole number`);
  return Number(text);
}

/** @throws {UsageError} */
export function parseChoice<T extends string>(text: string, name: string, allowed: readonly T[]): T {
  const found = allowed.find((value) => value === text);
  if (found === undefined) throw new UsageError(`${name}: '${text}' is none of ${allowed.join(', ')}`);
  return found;
}
