/** `blcr submit`: a submit description for HTCondor. */

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { baseName, CARRIED_STORE, type Wrapping } from '../condor/description.ts';
import { convertDescription, describeJob } from '../condor/submit.ts';
import { UsageError } from '../errors.ts';
import { parsePeriod } from '../job/options.ts';
import { currentBundle } from '../native/bundle.ts';
import { openStore } from '../store/index.ts';
import { parseRate } from '../util/bytes.ts';
import { parseDuration } from '../util/duration.ts';
import { errorMessage } from '../util/error-facts.ts';
import { type Arguments, type Command, expectPositionals, parseArguments, splitProgram } from './command.ts';
import { success } from './exit.ts';
import { readMethods } from './store-options.ts';
import { parseVacateAfter } from './vacate-after.ts';

const OPTIONS = {
  store: { type: 'string' },
  every: { type: 'string' },
  files: { type: 'string' },
  outputs: { type: 'string' },
  name: { type: 'string' },
  wrapper: { type: 'string' },
  'key-file': { type: 'string' },
  auth: { type: 'string' },
  ticket: { type: 'string' },
  'max-rate': { type: 'string' },
  insecure: { type: 'boolean' },
  'vacate-within': { type: 'string' },
  'vacate-after': { type: 'string' },
  convert: { type: 'string' },
  submit: { type: 'boolean' },
} as const;

export const submitCommand: Command = {
  name: 'submit',
  summary: 'write a submit file for HTCondor, or wrap the job of an existing one',
  usage: `blcr submit --store URL [options] [--] program [args…]
       blcr submit --store URL [options] --convert FILE

Prints a submit description whose job is checkpointed into the store, and goes on from there wherever it runs next.

  --store URL         chirp://host[:port]/path, as the execute nodes reach it (default $BLCR_STORE); condor: for no server at all:
                      HTCondor carries the checkpoints, for which the job stops each time
  --every TIME        time between checkpoints (default 60m)
  --files A,B         further input files
  --outputs A,B       files to bring back (default: all new and changed ones at the top of the sandbox)
  --name NAME         of the files NAME.out, NAME.err, NAME.log, NAME.key (default: the program's)
  --convert FILE      wrap the job of this submit file; every line that can stay stays
  --wrapper FILE      the executable to submit (default: blcr_wrapper of this package, or in PATH)
  --key-file FILE     seal the checkpoints with this key (default: a new one is made, NAME.key, for its owner only)
  --insecure          do not seal them
  --auth METHODS      how the job logs in to the Chirp server: ticket, hostname, unix, address, in this order
  --ticket FILE       a Chirp ticket, transferred with the job
  --max-rate RATE     bytes per second of a periodic upload at most: 500kB, 5MB, 1.5MiB
  --vacate-within T   time for the last checkpoint of an eviction (default 10m)
  --vacate-after T    leave by itself after this time, before a limit of the pool does it
  --submit            hand it to condor_submit instead of printing it`,
  run: async (args) => {
    const { own, program } = splitProgram(args, OPTIONS);
    const parsed = parseArguments(own, OPTIONS);
    const source = parsed.text('convert');
    if (source === undefined && program.length === 0) throw new UsageError('no program was named');
    if (source !== undefined) expectPositionals(program);
    const wrapping = await wrappingOf(parsed, source ?? program[0] ?? '');
    const text =
      source === undefined ? describe(parsed, program, wrapping) : convertDescription(readSource(source), wrapping);
    if (parsed.text('key-file') === undefined) makeKey(wrapping.keyFile);
    if (parsed.flag('submit')) process.stdout.write(submit(text));
    else process.stdout.write(text);
    return success;
  },
};

function describe(args: Arguments, [program = '', ...rest]: readonly string[], wrapping: Wrapping): string {
  const list = (name: string): readonly string[] | undefined =>
    args
      .text(name)
      ?.split(',')
      .filter((path) => path !== '');
  if (args.text('outputs') !== undefined && args.text('store') === CARRIED_STORE)
    throw new UsageError(
      '--outputs: HTCondor would hold a job that it carries and that is evicted before they are there',
    );
  // An absolute path may be one of the nodes; the others begin in a directory that the job does not have.
  if (/^[^/].*\//.test(program) && !isFile(program)) throw new UsageError(`there is no ${program}`);
  const name = args.text('name') ?? baseName(program);
  const job = { program, args: rest, inputs: list('files') ?? [], outputs: list('outputs'), name };
  for (const path of job.inputs)
    if (!path.includes('://') && !existsSync(path)) throw new UsageError(`--files: there is no ${path}`);
  return describeJob(job, wrapping, isFile);
}

async function wrappingOf(args: Arguments, source: string): Promise<Wrapping> {
  const store = args.text('store') ?? process.env['BLCR_STORE'];
  if (store === undefined || store === '') throw new UsageError('no store: give --store URL or set $BLCR_STORE');
  const ticket = args.text('ticket');
  if (ticket !== undefined) checkFile('--ticket', ticket);
  const auth = args.text('auth');
  await checkStore(store, auth);
  const [every, after] = ['every', 'vacate-after'].map((name) => args.text(name)?.replaceAll(/\s/g, ''));
  const rate = args.text('max-rate')?.replaceAll(/\s/g, '');
  checkTimes(every, after, rate);
  const options = [
    ...(auth === undefined ? [] : ['--auth', auth]),
    ...(after === undefined ? [] : ['--vacate-after', after]),
    ...(rate === undefined ? [] : ['--max-rate', rate]),
  ];
  const vacateMs = parseDuration(args.text('vacate-within') ?? '10m', '--vacate-within');
  const wrapper = findWrapper(args.text('wrapper'));
  const keyFile = keyFileOf(args, args.text('name') ?? baseName(source).replace(/\.[^.]*$/, ''));
  return { wrapper, store, every, keyFile, ticket, options, vacateSeconds: Math.max(2, Math.ceil(vacateMs / 1000)) };
}

/** What the job would be told on its node, after hours in the queue. @throws {StoreError | UsageError} */
async function checkStore(store: string, auth: string | undefined): Promise<void> {
  checkWord('--store', store);
  if (store === CARRIED_STORE) return;
  await using _store = await openStore(store, auth === undefined ? {} : { auth: readMethods(auth) });
}

function checkTimes(every: string | undefined, after: string | undefined, rate: string | undefined): void {
  if (every !== undefined) parsePeriod(every, '--every');
  if (after !== undefined) parseVacateAfter(after);
  if (rate !== undefined) parseRate(rate, '--max-rate');
}

/** It goes into a submit file, where these would mean something. */
function checkWord(name: string, text: string): void {
  if (/[\s'"$#,]/.test(text)) throw new UsageError(`${name}: '${text}' has characters that a submit file cannot hold`);
}

function checkFile(name: string, path: string): void {
  if (!isFile(path)) throw new UsageError(`${name}: there is no ${path}`);
  checkWord(name, path);
}

function keyFileOf(args: Arguments, name: string): string | undefined {
  const given = args.text('key-file');
  if (args.flag('insecure')) {
    if (given !== undefined) throw new UsageError('--key-file and --insecure exclude each other');
    return undefined;
  }
  if (given !== undefined) {
    checkFile('--key-file', given);
    return given;
  }
  const path = `${name}.key`;
  checkWord('--name', path);
  return path;
}

/** A key of this job's own, which nobody else may read; an existing one is used again, so that printing twice changes nothing. */
function makeKey(path: string | undefined): void {
  if (path === undefined || existsSync(path)) return;
  writeFileSync(path, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600, flag: 'wx' });
}

/** @throws {UsageError} when no file is named and there is none where it ought to be. */
function findWrapper(given: string | undefined): string {
  if (given !== undefined) {
    if (!isFile(given)) throw new UsageError(`--wrapper: there is no ${given}`);
    return resolve(given);
  }
  const packaged = fileURLToPath(new URL('../blcr_wrapper', import.meta.url));
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory.startsWith('/'));
  const inside = currentBundle()?.executable;
  const found = [
    ...(inside === undefined ? [] : [inside]),
    packaged,
    ...path.map((directory) => join(directory, 'blcr_wrapper')),
  ].find((file) => isFile(file) && !isStarter(file));
  if (found === undefined) {
    throw new UsageError(
      'no blcr_wrapper was found that can travel with a job: make one (npm run build:wrapper, in a checkout), or name it with --wrapper FILE',
    );
  }
  return found;
}

function readSource(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new UsageError(`--convert: ${errorMessage(cause)}`, { cause });
  }
}

function submit(text: string): string {
  try {
    return execFileSync('condor_submit', [], { input: text, encoding: 'utf8', stdio: ['pipe', 'pipe', 'inherit'] });
  } catch (cause) {
    throw new UsageError(`condor_submit refused the job: ${errorMessage(cause)}`, { code: 'ERR_CONDOR_SUBMIT', cause });
  }
}

/** What npm has installed needs the whole package around it. */
function isStarter(path: string): boolean {
  const own = fileURLToPath(new URL('../../bin/blcr_wrapper', import.meta.url));
  return isFile(own) && realpathSync(path) === realpathSync(own);
}

const isFile = (path: string): boolean => existsSync(path) && statSync(path).isFile();
