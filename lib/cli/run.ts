/** `blcr run`: a program under checkpoints. */

import { CARRIED_STORE } from '../condor/description.ts';
import { readCondorJob } from '../condor/sandbox.ts';
import { UsageError } from '../errors.ts';
import type { JobEvent } from '../job/events.ts';
import { EXIT_CODES, type JobEnd, type ProcessEnd, processEnd } from '../job/exit-status.ts';
import { batchJobId } from '../job/incarnation.ts';
import { Job } from '../job/job.ts';
import { type JobOptions, normaliseId } from '../job/options.ts';
import { QueueProgress } from '../job/queue-progress.ts';
import { currentBundle } from '../native/bundle.ts';
import { releaseMemory } from '../native/memory.ts';
import { parseRate } from '../util/bytes.ts';
import { parseDuration } from '../util/duration.ts';
import { withoutUndefined } from '../util/present.ts';
import { CarriedStore } from './carried-store.ts';
import { type Arguments, type Command, parseArguments, parseChoice, parseCount, splitProgram } from './command.ts';
import { exitWith } from './exit.ts';
import { warnLate } from './late-warning.ts';
import { PORTABILITY_OPTIONS, PORTABILITY_USAGE, readBaseline, readSave } from './portability.ts';
import { createReporter } from './reporter.ts';
import { handleSignals } from './signals.ts';
import { chooseStore, STORE_OPTIONS, STORE_USAGE } from './store-options.ts';
import { parseVacateAfter } from './vacate-after.ts';

const OPTIONS = {
  ...STORE_OPTIONS,
  every: { type: 'string' },
  id: { type: 'string' },
  first: { type: 'string' },
  keep: { type: 'string' },
  fresh: { type: 'boolean' },
  'accept-changed': { type: 'boolean' },
  'no-restore-pid': { type: 'boolean' },
  'store-wait': { type: 'string' },
  'max-rate': { type: 'string' },
  snapshot: { type: 'string' },
  tcp: { type: 'string' },
  unix: { type: 'string' },
  files: { type: 'string' },
  scratch: { type: 'string' },
  ...PORTABILITY_OPTIONS,
  'vacate-within': { type: 'string' },
  'vacate-after': { type: 'string' },
  'requeue-code': { type: 'string' },
  json: { type: 'boolean' },
} as const;

export const runCommand: Command = {
  name: 'run',
  summary: 'run a program and checkpoint it; go on from its newest checkpoint when there is one',
  usage: `blcr run --store URL --id ID [options] [--] program [args…]

${STORE_USAGE}
  --id ID            name of the job in the store, the same at each start (default: the batch system's)
  --every TIME       time between checkpoints, give or take a tenth (default 60m)
  --first TIME       time to the first one (default 60s, or --every when that is shorter)
  --keep N           checkpoints to keep (default 2)
  --fresh            start from the beginning, dropping what the store has of the job
  --accept-changed   resume although program, arguments or inputs have changed
  --no-restore-pid   restart under new process ids when the recorded ones are taken
  --store-wait TIME  how long a later run waits for a store that does not answer (default 10m)
  --max-rate RATE    bytes per second of a periodic upload at most: 500kB, 5MB, 1.5MiB; evictions know no limit
  --snapshot HOW     auto, fork (copy while it runs) or plain (stand still), default auto
  --tcp HOW          TCP connections to the outside: refuse checkpoints (default), or close: a restarted program finds them reset
  --unix HOW         the same for unix sockets
  --files WHICH      of the scratch directory: changed, all or none (default changed)
  --scratch DIR      directory whose files belong to the job (default: the current one)
${PORTABILITY_USAGE}
  --vacate-within T  time that an eviction may take (default: the batch system's, else 10m)
  --vacate-after T   evict the job by itself after this time, before a limit of the pool does it
  --requeue-code N   exit code for "run me again" (default 85)
  --json             one JSON record per event on stderr

Times are numbers with a unit: 30s, 1.5h, 60m, 2d.
Signals: SIGTERM (or the job's kill_sig) checkpoints, stops the job and exits 85; SIGUSR2 checkpoints now; all others go to the program.
Exit: the program's own; 64 usage; 75 try again elsewhere or later; 85 evicted, run me again; 86 no checkpoint can be restarted;
87 the program itself exited with 85; 88 a newer run of this job has taken over. Killed by a signal: dies of the same one.`,
  run: async (args) => {
    const { own, program } = splitProgram(args, OPTIONS);
    const parsed = parseArguments(own, OPTIONS);
    const requeueCode = readRequeueCode(parsed);
    const carried = isCarried(parsed) ? new CarriedStore(process.env, requeueCode) : undefined;
    const options = readOptions(parsed, program, carried);
    const json = parsed.flag('json');
    await carried?.unpack();
    let isLost = false;
    const pack = async (): Promise<void> => {
      isLost = (await carried?.pack((warning) => warnLate(createReporter(json), options, warning))) === false;
    };
    const after = parsed.text('vacate-after');
    const vacateAfterMs = after === undefined ? undefined : parseVacateAfter(after);
    const end = await runJob(options, { requeueCode, json, vacateAfterMs }).finally(pack);
    // With the number that means a checkpoint HTCondor would look for it, and hold the job.
    return isLost && end.kind === 'code' && end.code === requeueCode ? exitWith(EXIT_CODES.temporary) : end;
  },
};

function readRequeueCode(args: Arguments): number {
  const code = parseCount(args.text('requeue-code') ?? String(EXIT_CODES.requeue), '--requeue-code');
  if (code < 1 || code > 255) throw new UsageError('--requeue-code: a number from 1 to 255 is needed');
  return code;
}

const isCarried = (args: Arguments): boolean => (args.text('store') ?? process.env['BLCR_STORE']) === CARRIED_STORE;

function readOptions(args: Arguments, program: readonly string[], carried: CarriedStore | undefined): JobOptions {
  const [command, ...rest] = program;
  if (command === undefined) throw new UsageError('no program was named');
  const { url, key, options } = chooseStore(args);
  const id = args.text('id') ?? batchJobId(process.env);
  if (id === undefined) throw new UsageError('no job id: give --id ID (outside of HTCondor nobody else knows one)');
  const duration = (name: string): number | undefined => {
    const text = args.text(name);
    return text === undefined ? undefined : parseDuration(text, `--${name}`);
  };
  const snapshot = args.text('snapshot');
  const tcp = args.text('tcp');
  const unix = args.text('unix');
  const files = args.text('files');
  const keep = args.text('keep');
  const rate = args.text('max-rate');
  return withoutUndefined({
    id: normaliseId(id),
    store: carried?.url ?? url,
    exitAfterCheckpoint: carried !== undefined,
    key,
    storeOptions: options,
    command,
    args: rest,
    every: duration('every'),
    first: duration('first'),
    // What is carried is carried whole each time.
    keep: keep === undefined ? (carried === undefined ? undefined : 1) : parseCount(keep, '--keep'),
    fresh: args.flag('fresh'),
    acceptChanged: args.flag('accept-changed'),
    newPids: args.flag('no-restore-pid'),
    storeWaitMs: duration('store-wait'),
    vacateMs: duration('vacate-within'),
    maxRate: rate === undefined ? undefined : parseRate(rate, '--max-rate'),
    snapshot: snapshot === undefined ? undefined : parseChoice(snapshot, '--snapshot', ['auto', 'fork', 'plain']),
    tcp: tcp === undefined ? undefined : parseChoice(tcp, '--tcp', ['refuse', 'close']),
    unix: unix === undefined ? undefined : parseChoice(unix, '--unix', ['refuse', 'close']),
    files: files === undefined ? undefined : parseChoice(files, '--files', ['changed', 'all', 'none']),
    scratch: args.text('scratch'),
    ownFiles: [
      args.text('key-file') ?? process.env['BLCR_KEY_FILE'],
      args.text('ticket'),
      currentBundle()?.executable,
    ].filter((path) => path !== undefined),
    save: readSave(args),
    cpuBaseline: readBaseline(args),
  });
}

/** After a start or a checkpoint: by then older ones are removed and threads have ended. */
const SETTLED_MS = 1000;

export interface RunSettings {
  readonly requeueCode: number;
  readonly json: boolean;
  /** Milliseconds from now after which the job is evicted. */
  readonly vacateAfterMs: number | undefined;
}

/** Runs the job to its end, with this process's signals being the job's. */
export async function runJob(options: JobOptions, settings: RunSettings): Promise<ProcessEnd> {
  const render = createReporter(settings.json);
  const progress = new QueueProgress(process.env);
  const report = (event: JobEvent): void => {
    render(event);
    progress.listener(event);
    if (event.event === 'checkpoint' || event.event === 'started') setTimeout(releaseMemory, SETTLED_MS).unref();
  };
  const opening = new AbortController();
  const early: NodeJS.Signals[] = [];
  let job: Job | undefined;
  let isEvicted = false;
  const vacateSignal = readCondorJob(process.env)?.vacateSignal;
  handleSignals((signal) => {
    if (signal === 'SIGTERM' || signal === vacateSignal) {
      isEvicted = true;
      if (job === undefined) opening.abort(new Error('evicted before the job ran'));
      else evict(job);
    } else if (job === undefined) early.push(signal);
    else deliver(job, signal);
  });
  try {
    job = await Job.open({ ...options, ...settings, env: environment(), onEvent: report, signal: opening.signal });
  } catch (error) {
    if (isEvicted && opening.signal.aborted) return exitWith(settings.requeueCode);
    throw error;
  }
  if (isEvicted) evict(job);
  for (const signal of early) deliver(job, signal);
  const running = job;
  const limit =
    settings.vacateAfterMs === undefined ? undefined : setTimeout(() => evict(running), settings.vacateAfterMs);
  try {
    return conclude(await job.done, options, settings, report);
  } finally {
    clearTimeout(limit);
    await progress.settled();
  }
}

/** What its end means is told by `done`. */
function evict(job: Job): void {
  job.vacate().catch(() => undefined);
}

function deliver(job: Job, signal: NodeJS.Signals): void {
  // A checkpoint that fails is reported as a warning.
  if (signal === 'SIGUSR2') job.checkpoint().catch(() => undefined);
  else job.signal(signal);
}

function conclude(
  end: JobEnd,
  options: JobOptions,
  { requeueCode }: RunSettings,
  report: (event: JobEvent) => void,
): ProcessEnd {
  const result = processEnd(end, requeueCode);
  if (result.kind === 'code' && result.collision) {
    warnLate(report, options, {
      code: 'ERR_JOB_COLLISION',
      message: `the program itself exited with ${requeueCode}, which means "run me again" here`,
      consequence: `this exits with ${result.code} instead; --requeue-code picks another number`,
    });
  }
  return result;
}

/** HTCondor starts jobs without these two. */
function environment(): NodeJS.ProcessEnv {
  return { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: process.cwd(), ...process.env };
}
