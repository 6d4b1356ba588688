/** Submit descriptions of wrapped jobs: written from nothing, or made of an existing one. */

import { UsageError } from '../errors.ts';
import {
  baseName,
  CARRIED_STORE,
  type Command,
  commandsOf,
  quoteArguments,
  requirements,
  type Wrapping,
  wrapperArguments,
  wrapperInputs,
} from './description.ts';

export interface NewJob {
  readonly program: string;
  readonly args: readonly string[];
  /** Further input files. */
  readonly inputs: readonly string[];
  /** Files to bring back; undefined = every new or changed file at the top of the sandbox. */
  readonly outputs: readonly string[] | undefined;
  /** Names of the files for output, error and log, without what follows the dot. */
  readonly name: string;
}

/** A complete, commented description. A program named by a path is transferred; one without a slash that is no file here is the node's. */
export function describeJob(job: NewJob, wrapping: Wrapping, isFile: (path: string) => boolean): string {
  const isTransferred = job.program.includes('/') || isFile(job.program);
  const isShipped = isTransferred && isFile(job.program);
  const program = isShipped ? `./${baseName(job.program)}` : job.program;
  const inputs = [...(isShipped ? [job.program] : []), ...job.inputs, ...wrapperInputs(wrapping)];
  const args = quoteArguments([...wrapperArguments(wrapping), program, ...job.args]);
  const { outputs, name } = job;
  return [
    '# Written by blcr submit. The wrapper checkpoints the program into the store, leaves when it is evicted, and goes on elsewhere.',
    'universe = vanilla',
    `executable = ${wrapping.wrapper}`,
    `arguments = "${args}"`,
    'should_transfer_files = YES',
    ...(wrapping.store === CARRIED_STORE ? [] : ['when_to_transfer_output = ON_EXIT']),
    ...(inputs.length === 0 ? [] : [`transfer_input_files = ${inputs.join(', ')}`]),
    ...(outputs === undefined ? [] : [`transfer_output_files = ${outputs.length === 0 ? '""' : outputs.join(', ')}`]),
    `output = ${name}.out`,
    `error = ${name}.err`,
    `log = ${name}.log`,
    '',
    '# nodes that can checkpoint, with at least the instructions of the one it began on',
    `requirements = ${requirements()}`,
    ...commandsOf(wrapping).map(formatCommand),
    'queue',
    '',
  ].join('\n');
}

const formatCommand = ({ name, value, why }: Command): string => `# ${why}\n${name} = ${value}`;

interface Statement {
  /** The lines as they are, continuation lines included. */
  readonly text: string;
  /** Lower case; empty for anything but `name = value`. */
  readonly name: string;
  readonly value: string;
}

/**
 * Wraps the job of an existing description. Every line that does not have to change stays as it is, comments, macros and queue statements
 * included; conditions of the user's own hold as well as ours.
 * @throws {UsageError} when it has no executable, several, or a queue statement before it.
 */
export function convertDescription(text: string, wrapping: Wrapping): string {
  const statements = parse(text);
  const executables = statements.filter(({ name }) => name === 'executable');
  const [executable] = executables;
  if (executable === undefined) throw new UsageError('the submit file names no executable');
  if (executables.length > 1)
    throw new UsageError('the submit file names several executables: convert one file for each');
  const queue = statements.findIndex(({ text: line }) => /^\s*queue\b/i.test(line));
  if (queue < 0) throw new UsageError('the submit file has no queue statement');
  if (queue < statements.indexOf(executable)) throw new UsageError('the executable is named after a queue statement');
  if (wrapping.store === CARRIED_STORE && valueIn(statements, 'transfer_output_files') !== undefined)
    throw new UsageError(
      'transfer_output_files: HTCondor would hold a job that it carries and that is evicted before they are there',
    );
  const isTransferred = valueIn(statements, 'transfer_executable')?.toLowerCase() !== 'false';
  const program = isTransferred ? `./${transferredName(executable.value)}` : executable.value;
  const changes = changesTo(statements, program, isTransferred ? executable.value : undefined, wrapping);
  return rewrite(statements, changes, queue);
}

function changesTo(
  statements: readonly Statement[],
  program: string,
  shipped: string | undefined,
  wrapping: Wrapping,
): ReadonlyMap<string, string> {
  const own = new Map(commandsOf(wrapping).map(({ name, value }) => [name.toLowerCase(), value]));
  const theirs = (name: string): string | undefined => valueIn(statements, name);
  const both = (name: string, value: string): void => {
    const other = theirs(name);
    own.set(name, other === undefined || other === '' ? value : `(${other}) && (${value})`);
  };
  both('requirements', requirements());
  both('on_exit_remove', own.get('on_exit_remove') ?? '');
  const held = theirs('on_exit_hold');
  if (held !== undefined) {
    own.set('on_exit_hold', `(${held}) || (${own.get('on_exit_hold')})`);
    if (theirs('on_exit_hold_reason') !== undefined) own.delete('on_exit_hold_reason');
  }
  if (theirs('job_max_vacate_time') !== undefined) own.delete('job_max_vacate_time');
  const attributes = theirs('job_machine_attrs');
  if (attributes !== undefined) own.set('job_machine_attrs', `${attributes}, Microarch`);
  const inputs = [theirs('transfer_input_files'), shipped, ...wrapperInputs(wrapping)].filter(
    (part) => part !== undefined && part !== '',
  );
  if (inputs.length > 0) own.set('transfer_input_files', inputs.join(', '));
  // Without a sandbox of its own the job would share its directory with the user log and with other jobs.
  const transfer = theirs('should_transfer_files')?.toUpperCase();
  if (transfer === undefined || transfer === 'IF_NEEDED' || wrapping.store === CARRIED_STORE)
    own.set('should_transfer_files', 'YES');
  own.set('executable', wrapping.wrapper);
  if (shipped === undefined) own.set('transfer_executable', 'True');
  own.set('arguments', wrapArguments(theirs('arguments') ?? '', program, wrapping));
  return own;
}

/** The syntax of the arguments stays what it is: the new one is in double quotes as a whole. */
function wrapArguments(theirs: string, program: string, wrapping: Wrapping): string {
  const prefix = [...wrapperArguments(wrapping), program].join(' ');
  const inner = /^"(.*)"$/s.exec(theirs)?.[1];
  if (inner !== undefined) return `"${prefix} ${inner}"`;
  return theirs === '' ? prefix : `${prefix} ${theirs}`;
}

/** The last component of the path; of a macro, by HTCondor's own function. Source: HTCondor manual, $F[fpduwnxbqa](filename). */
function transferredName(path: string): string {
  const name = baseName(path);
  if (!name.includes('$')) return name;
  const macro = /^\$\((\w+)\)$/.exec(path)?.[1];
  if (macro === undefined)
    throw new UsageError(`executable = ${path}: a macro must be all of it, or not be in its last part`);
  return `$Fnx(${macro})`;
}

function rewrite(statements: readonly Statement[], changes: ReadonlyMap<string, string>, queue: number): string {
  const missing = new Map(changes);
  const lines: string[] = [];
  for (const [index, { text, name }] of statements.entries()) {
    if (index === queue)
      lines.push('# added by blcr submit --convert', ...[...missing].map(([key, value]) => `${key} = ${value}`));
    const value = changes.get(name);
    if (index < queue && value !== undefined) {
      if (missing.delete(name)) lines.push(`${text.slice(0, text.indexOf('=') + 1)} ${value}`);
    } else if (name === 'remove_kill_sig') {
      lines.push('# blcr: this signal would be sent for an eviction as well', `# ${text}`);
    } else lines.push(text);
  }
  return lines.join('\n');
}

function parse(text: string): Statement[] {
  const statements: Statement[] = [];
  let pending: string[] = [];
  for (const line of text.split('\n')) {
    pending.push(line);
    if (/\\\s*$/.test(line) && !/^\s*#/.test(line)) continue;
    statements.push(statementOf(pending.join('\n')));
    pending = [];
  }
  if (pending.length > 0) statements.push(statementOf(pending.join('\n')));
  return statements;
}

function statementOf(text: string): Statement {
  const match = /^\s*([+\w.]+)\s*=(?!=)(.*)$/s.exec(text.replaceAll(/\s*\\\s*\n\s*/g, ' '));
  return { text, name: (match?.[1] ?? '').toLowerCase(), value: (match?.[2] ?? '').trim() };
}

/** The last one counts, as for HTCondor. */
const valueIn = (statements: readonly Statement[], name: string): string | undefined =>
  statements.findLast((statement) => statement.name === name)?.value;
