/** `blcr checkpoint`: a context file of a running process, without any store. */

import { open, rename, rm } from 'node:fs/promises';
import { constants } from 'node:os';
import { CARRIED_KINDS, carriedFlags } from '../checkpoint/carried-files.ts';
import { requestCheckpoint } from '../checkpoint/request.ts';
import type { CheckpointOptions, CheckpointResult } from '../checkpoint/types.ts';
import { UsageError } from '../errors.ts';
import { formatBytes } from '../util/bytes.ts';
import { formatDuration } from '../util/duration.ts';
import { type Arguments, type Command, expectPositionals, parseArguments, parseChoice } from './command.ts';
import { success } from './exit.ts';
import { printJson } from './json.ts';

const SCOPES = { tree: 'tree', pid: 'process', pgid: 'group', session: 'session' } as const;
const SIGNALS = {
  run: 0,
  stop: constants.signals.SIGSTOP,
  term: constants.signals.SIGTERM,
  kill: constants.signals.SIGKILL,
} as const;

const OPTIONS = {
  file: { type: 'string', short: 'f' },
  tree: { type: 'boolean' },
  pid: { type: 'boolean' },
  pgid: { type: 'boolean' },
  session: { type: 'boolean' },
  run: { type: 'boolean' },
  stop: { type: 'boolean' },
  term: { type: 'boolean' },
  kill: { type: 'boolean' },
  snapshot: { type: 'string' },
  tcp: { type: 'string' },
  unix: { type: 'string' },
  'save-exe': { type: 'boolean' },
  'save-private': { type: 'boolean' },
  'save-shared': { type: 'boolean' },
  'save-all': { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

export const checkpointCommand: Command = {
  name: 'checkpoint',
  summary: 'write a context file of a running process',
  usage: `blcr checkpoint PID [options]

  -f, --file FILE    where to (default context.PID); complete or not there
  --tree             the process and its descendants (default)
  --pid              the process alone
  --pgid, --session  the process group, or session, of that number
  --run              it runs on (default)
  --stop, --term, --kill   signal that it gets once the context is complete
  --snapshot HOW     auto, fork or plain
  --tcp HOW          TCP connections to the outside: refuse (default), or close: the restarted program finds them reset
  --unix HOW         the same for unix sockets
  --save-exe, --save-private, --save-shared, --save-all
                     the executable, libraries and what else is mapped privately, what is mapped shared: with the context
  --json             the figures as one JSON object`,
  run: async (args) => {
    const parsed = parseArguments(args, OPTIONS);
    const [text = ''] = expectPositionals(parsed.positionals, 'PID');
    const target = Number(text);
    if (!/^\d+$/.test(text) || target === 0) throw new UsageError(`'${text}' is not a process id`);
    const snapshot = parsed.text('snapshot');
    const tcp = parsed.text('tcp');
    const unix = parsed.text('unix');
    const file = parsed.text('file') ?? `context.${target}`;
    const result = await writeContext(file, {
      target,
      scope: SCOPES[choose(parsed, Object.keys(SCOPES) as (keyof typeof SCOPES)[], 'tree')],
      flags: carriedFlags(CARRIED_KINDS.filter((kind) => parsed.flag(`save-${kind}`) || parsed.flag('save-all'))),
      signal: SIGNALS[choose(parsed, Object.keys(SIGNALS) as (keyof typeof SIGNALS)[], 'run')],
      ...(snapshot === undefined ? {} : { snapshot: parseChoice(snapshot, '--snapshot', ['auto', 'fork', 'plain']) }),
      ...(tcp === undefined ? {} : { tcp: parseChoice(tcp, '--tcp', ['refuse', 'close']) }),
      ...(unix === undefined ? {} : { unix: parseChoice(unix, '--unix', ['refuse', 'close']) }),
    });
    const { log: _log, ...figures } = result;
    for (const { code, message } of result.warnings) process.stderr.write(`blcr: warning ${code}: ${message}\n`);
    if (parsed.flag('json')) printJson({ file, ...figures });
    else process.stdout.write(`${file}: ${describe(result)}\n`);
    return success;
  },
};

function choose<T extends string>(args: Arguments, names: readonly T[], fallback: T): T {
  const chosen = names.filter((name) => args.flag(name));
  if (chosen.length > 1) throw new UsageError(`--${chosen.join(' and --')} exclude each other`);
  return chosen[0] ?? fallback;
}

/** A reader never finds half a context under its name. */
async function writeContext(file: string, options: Omit<CheckpointOptions, 'to'>): Promise<CheckpointResult> {
  const temporary = `${file}.${process.pid}.part`;
  const handle = await open(temporary, 'wx', 0o600);
  try {
    const result = await requestCheckpoint({ ...options, to: handle.fd });
    await handle.sync();
    await rename(temporary, file);
    return result;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

function describe({ processes, threads, bytes, stopUs, totalUs, snapshot }: CheckpointResult): string {
  if (snapshot === 'unknown') return 'written';
  const whom = `${processes} ${processes === 1 ? 'process' : 'processes'}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  return `${whom}, ${formatBytes(bytes)}, stopped ${formatDuration(stopUs / 1000)}, ${formatDuration(totalUs / 1000)} in all (${snapshot})`;
}
