/** What makes a job the same job at its next start: the program's content, its arguments, the input files it found. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, constants, stat } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { isSandboxFile } from '../condor/sandbox.ts';
import { UsageError } from '../errors.ts';
import type { FileEntry, JobIdentity } from '../store/types.ts';
import type { TreeFile } from './tree.ts';

/** Larger inputs, and those beyond the total, are compared by size only: identity must not delay the start of the job. */
const HASHED_FILE_BYTES = 16 << 20;
const HASHED_TOTAL_BYTES = 128 << 20;
const INPUT_COUNT = 2000;

/** The system's own default when PATH is unset (HTCondor starts jobs without one). Source: confstr(3) _CS_PATH. */
const DEFAULT_PATH = '/bin:/usr/bin';

/**
 * Absolute path of the program that `command` names, by the rules of execvp(3).
 * @throws {UsageError} `ERR_JOB_NOT_FOUND` when there is no such program, or it may not be executed.
 */
export async function resolveExecutable(command: string, cwd: string, env: NodeJS.ProcessEnv): Promise<string> {
  if (command === '') throw new UsageError('No program was named');
  const candidates = command.includes('/')
    ? [resolve(cwd, command)]
    : (env['PATH'] ?? DEFAULT_PATH).split(delimiter).map((directory) => join(resolve(cwd, directory), command));
  for (const candidate of candidates) if (await isExecutable(candidate)) return candidate;
  const searched = command.includes('/') ? '' : ' in PATH';
  throw new UsageError(`'${command}' was not found${searched}, or may not be executed`, { code: 'ERR_JOB_NOT_FOUND' });
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false; // not there, or not ours to run: the next directory is tried
  }
}

/**
 * @param argv The command as given, and its arguments.
 * @param executable Absolute path of the program.
 * @param inputs Files below the scratch directory before the program started.
 */
export async function identify(
  argv: readonly string[],
  executable: string,
  scratch: string,
  inputs: readonly TreeFile[],
): Promise<JobIdentity> {
  return { argv: [...argv], executable: await hashFile(executable), inputs: await hashInputs(scratch, inputs) };
}

async function hashInputs(scratch: string, inputs: readonly TreeFile[]): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  let budget = HASHED_TOTAL_BYTES;
  const files = inputs.filter(({ kind, path }) => kind === 'file' && !isSandboxFile(path));
  for (const { path, size } of files.slice(0, INPUT_COUNT)) {
    const isHashed = size <= HASHED_FILE_BYTES && size <= budget;
    if (isHashed) budget -= size;
    try {
      hashes[path] = isHashed ? await hashFile(join(scratch, path), size) : `size:${size}`;
    } catch {}
  }
  return hashes;
}

/** @param size Of a file that may grow meanwhile (somebody's log): the bytes that count. Its end might never be reached. */
async function hashFile(path: string, size = Number.POSITIVE_INFINITY): Promise<string> {
  const hash = createHash('sha256');
  if (size === 0) return hash.digest('hex');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, end: size - 1 })) hash.update(chunk);
  return hash.digest('hex');
}

/**
 * What differs between the job that was checkpointed and the one asked for now, in words; empty when it is the same.
 * Inputs that the checkpoint carries itself, and those that are not here, are not compared.
 */
export function compareIdentity(then: JobIdentity, now: JobIdentity, carried: readonly FileEntry[]): string[] {
  const differences: string[] = [];
  if (then.executable !== now.executable) differences.push('the program file has other content');
  if (then.argv.length !== now.argv.length || then.argv.some((argument, index) => argument !== now.argv[index])) {
    differences.push(`the command was: ${then.argv.join(' ')}`);
  }
  const stored = new Set(carried.filter(({ role }) => role === 'scratch').map(({ path }) => path));
  for (const [path, hash] of Object.entries(then.inputs)) {
    const current = now.inputs[path];
    if (current === undefined || current === hash || stored.has(path)) continue;
    if (hash.startsWith('size:') !== current.startsWith('size:')) continue; // measured differently: cannot be compared
    differences.push(`the input file ${path} has other content`);
  }
  return differences;
}
