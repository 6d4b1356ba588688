/** The arguments of the classic blcr_wrapper script, as `blcr run` understands them. */

import { existsSync, statSync } from 'node:fs';
import { UsageError } from '../errors.ts';
import { EXIT_CODES } from '../job/exit-status.ts';
import { normaliseId } from '../job/options.ts';
import { parseDuration } from '../util/duration.ts';
import { autoCommand } from './auto.ts';
import type { Command } from './command.ts';
import { runJob } from './run.ts';
import { chooseStore } from './store-options.ts';

export const classicCommand: Command = {
  name: 'blcr_wrapper',
  summary: 'the classic wrapper',
  usage: `blcr_wrapper <chirp host> <chirp port> <period in minutes> <job id> <application> [args…]
       blcr_wrapper <command> [options]     as 'blcr <command>'; 'blcr_wrapper help' lists them
       blcr_wrapper --auto program [args…]

The period may be a decimal number of minutes, or have a unit (30s, 1.5h). $BLCR_KEY_FILE names a key that seals the checkpoints.
Everything else, and the exit codes, are those of 'blcr run' (blcr help run). --auto is for HTCondor's USER_JOB_WRAPPER: jobs with +BlcrStore are wrapped.`,
  run: async (args) => {
    if (args[0] === '--auto') return await autoCommand.run(args.slice(1));
    const [host, port, period, id, application, ...rest] = args;
    if (
      host === undefined ||
      port === undefined ||
      period === undefined ||
      id === undefined ||
      application === undefined
    ) {
      throw new UsageError(`${args.length} arguments were given, at least 5 are needed`);
    }
    const url = storeUrl(host, port);
    const every = parseDuration(period, 'period', 'm');
    if (every === 0) throw new UsageError('period: it must be longer than nothing');
    const { key } = chooseStore({
      positionals: [],
      text: (name) => (name === 'store' ? url : undefined),
      flag: () => false,
      all: () => [],
    });
    return await runJob(
      {
        id: normaliseId(id),
        store: url,
        command: findApplication(application),
        args: rest,
        every,
        // A refusal is learnt at once also when the period is long, and a short period is meant as it is.
        first: Math.min(every, 60_000),
        ...(key === undefined ? {} : { key }),
      },
      { requeueCode: EXIT_CODES.requeue, json: false, vacateAfterMs: undefined },
    );
  },
};

function storeUrl(host: string, port: string): string {
  const number = Number(port);
  if (!/^\d+$/.test(port) || number < 1 || number > 65_535) throw new UsageError(`chirp port: '${port}' is not a port`);
  if (!/^[A-Za-z0-9._:-]+$/.test(host)) throw new UsageError(`chirp host: '${host}' is not a host`);
  return `chirp://${host.includes(':') ? `[${host}]` : host}:${number}/`;
}

/** Batch systems put the executable into the working directory and name it without a slash. */
function findApplication(name: string): string {
  const isHere =
    !name.includes('/') && existsSync(name) && (statSync(name).mode & 0o111) !== 0 && statSync(name).isFile();
  return isHere ? `./${name}` : name;
}
