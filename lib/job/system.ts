/** The real foundations: the libcr of this node, the stores, the clock. */

import { openProvider } from '../checkpoint/provider.ts';
import { startCheckpoint } from '../checkpoint/request.ts';
import { startRestart } from '../checkpoint/restart.ts';
import type { Provider } from '../checkpoint/types.ts';
import { JobError } from '../errors.ts';
import { openStore } from '../store/index.ts';
import { systemClock } from '../util/clock.ts';
import { blcrEngine } from './blcr/engine.ts';
import type { Engine } from './engine.ts';
import { EXIT_CODES } from './exit-status.ts';
import { launchUnderKeeper, processOf } from './launch.ts';
import type { JobFoundations } from './session.ts';

/**
 * What a libcr and its keeper can do, as the job layer sees it.
 * @throws {NativeLoadError} when this node has none.
 */
export function systemEngine(provider: Provider = openProvider()): Engine {
  const { kind, keeper } = provider.info;
  if (kind === 'blcr') return blcrEngine(provider);
  return {
    kind,
    launch: (request) => {
      if (keeper !== undefined) return launchUnderKeeper(keeper, request);
      throw new JobError(`The library ${provider.info.path} has no keeper beside it`, {
        code: 'ERR_JOB_NODE',
        exitCode: EXIT_CODES.temporary,
      });
    },
    checkpoint: (options) => startCheckpoint(options, provider),
    restart: (options) => startRestart(options, provider),
    adopt: ({ pid, exit }) => processOf(pid, exit),
  };
}

export const systemFoundations: JobFoundations = {
  engine: systemEngine,
  openStore,
  clock: systemClock,
  random: Math.random,
};
