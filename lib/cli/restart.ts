/** `blcr restart`: brings a context file back to life and stays its parent. */

import { open } from 'node:fs/promises';
import { openProvider } from '../checkpoint/provider.ts';
import { requestRestart } from '../checkpoint/restart.ts';
import { UsageError } from '../errors.ts';
import { endOf, processEnd } from '../job/exit-status.ts';
import { errorMessage } from '../util/error-facts.ts';
import { type Command, expectPositionals, parseArguments, parseChoice } from './command.ts';
import { handleSignals } from './signals.ts';

const OPTIONS = {
  relocate: { type: 'string', multiple: true },
  'no-restore-pid': { type: 'boolean' },
  files: { type: 'string' },
} as const;

/** No exit code of a program stands for anything else here. */
const NO_REQUEUE = -1;

export const restartCommand: Command = {
  name: 'restart',
  summary: 'restart a context file, as the parent of the program',
  usage: `blcr restart FILE [options]

  --relocate OLD=NEW  files and directories below OLD are now below NEW (may be repeated)
  --no-restore-pid    take new process ids (several copies at once)
  --files HOW         what was written after the checkpoint: rollback (default), keep or refuse

Exit: the program's own, or death by the same signal; 75 this node cannot; 86 the context cannot be restarted.`,
  run: async (args) => {
    const parsed = parseArguments(args, OPTIONS);
    const [path = ''] = expectPositionals(parsed.positionals, 'FILE');
    const files = parsed.text('files');
    const relocate = parsed.all('relocate').map(parseRelocation);
    const handle = await openContext(path);
    const restarted = await requestRestart({
      from: handle.fd,
      relocate,
      // Named, because Node keeps its own descriptors from children that it did not start itself.
      ...(openProvider().info.kind === 'userspace' ? { stdio: [0, 1, 2] as const } : {}),
      restorePid: !parsed.flag('no-restore-pid'),
      ...(files === undefined ? {} : { files: parseChoice(files, '--files', ['rollback', 'keep', 'refuse']) }),
    }).finally(() => handle.close());
    let isOver = false;
    handleSignals((signal) => {
      if (!isOver) process.kill(restarted.pid, signal);
    });
    const status = await restarted.exit;
    isOver = true;
    return processEnd(endOf(status), NO_REQUEUE);
  },
};

function parseRelocation(text: string): readonly [string, string] {
  const [from, to, ...rest] = text.split('=');
  if (!from || !to || rest.length > 0) throw new UsageError(`--relocate: '${text}' is not OLD=NEW`);
  return [from, to];
}

async function openContext(path: string): Promise<Awaited<ReturnType<typeof open>>> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    throw new UsageError(`the context cannot be opened: ${errorMessage(cause)}`, { code: 'ERR_CONTEXT_OPEN', cause });
  }
}
