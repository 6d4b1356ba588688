/** The C and C++ programs of the benchmarks: compiled on first use, started, watched, ended. */
import { type ChildProcess, execFileSync, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root: string = fileURLToPath(new URL('../..', import.meta.url));
export const nativeDirectory: string = join(root, 'build/native');

/** A temporary directory on a file system in memory, removed when the process ends. */
export const scratch: string = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'blcr-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

const FLAGS = ['-O2', '-Wall', '-Wextra'];

/** Path of the program compiled from bench/SOURCE, such as `victims/writer.c`. */
export function compiled(source: string): string {
  const input = join(root, 'bench', source);
  const directory = join(scratch, 'bin');
  const output = join(directory, basename(source).replace(/\.\w+$/, ''));
  if (existsSync(output) && statSync(output).mtimeMs > statSync(input).mtimeMs) return output;
  mkdirSync(directory, { recursive: true });
  const [compiler, extra] = source.endsWith('.cc') ? ['g++', ['-std=c++20', '-msse4.2']] : ['gcc', []];
  execFileSync(compiler, [...FLAGS, ...extra, '-o', output, input], { stdio: ['ignore', 'inherit', 'inherit'] });
  return output;
}

const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

/** Starts a program that is killed with this process at the latest. */
export function start(command: readonly string[], stdio: StdioOptions): ChildProcess {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio, cwd: scratch });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** Waits for the end. @throws when it was not exit status 0. */
export async function finish(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  if (child.exitCode !== 0)
    throw new Error(`${child.spawnargs.join(' ')}: ${child.signalCode ?? `status ${child.exitCode}`}`);
}

export async function stop(child: ChildProcess): Promise<void> {
  const ended = child.exitCode !== null || child.signalCode !== null ? undefined : once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Everything a stream of the child holds, as text. */
export async function textOf(stream: NodeJS.ReadableStream | null): Promise<string> {
  const chunks: string[] = [];
  if (stream === null) return '';
  for await (const chunk of stream.setEncoding('utf8')) chunks.push(String(chunk));
  return chunks.join('');
}

/** Runs a program and returns its standard output. @throws when it fails. */
export async function run(command: readonly string[], stdin: 'ignore' | number = 'ignore'): Promise<string> {
  const child = start(command, [stdin, 'pipe', 'inherit']);
  const [text] = await Promise.all([textOf(child.stdout), finish(child)]);
  return text;
}
