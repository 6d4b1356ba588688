/**
 * Genuine BLCR as the job layer's engine. What the kernel module has no word for is made up for from outside, with signals: a checkpoint
 * leaves the job stopped (cr_signal = SIGSTOP, sent by BLCR before anything runs on), its files are copied meanwhile, and SIGCONT lets it go.
 * Source: docs/libcr.md; libcr.h, cr_checkpoint_args_t.
 */
import { constants } from 'node:os';
import { startCheckpoint } from '../../checkpoint/request.ts';
import { startRestart } from '../../checkpoint/restart.ts';
import type { CheckpointOptions, CheckpointResult, PendingCheckpoint, Provider } from '../../checkpoint/types.ts';
import type { Engine } from '../engine.ts';
import { copyCaptured } from './capture.ts';
import { launchUnderCrRun } from './launch.ts';
import { runningTree, signalTree } from './tree.ts';

const { SIGSTOP } = constants.signals;

export function blcrEngine(provider: Provider): Engine {
  return {
    kind: 'blcr',
    launch: launchUnderCrRun,
    checkpoint: (options) => checkpoint(options, provider),
    // Its own group and session, so that it can be signalled as a whole: by default BLCR moves it into the caller's.
    restart: ({ binds: _binds, stdio: _stdio, ...options }) =>
      startRestart({ ...options, restoreSession: true }, provider),
    adopt: ({ pid, exit }) => runningTree(pid, exit),
  };
}

function checkpoint({ capture, ...options }: CheckpointOptions, provider: Provider): PendingCheckpoint {
  const staysStopped = options.signal === SIGSTOP;
  if (capture === undefined) return startCheckpoint({ ...options, snapshot: 'plain' }, provider);
  const pending = startCheckpoint({ ...options, snapshot: 'plain', signal: SIGSTOP }, provider);
  const finish = async (result: CheckpointResult): Promise<CheckpointResult> => {
    const begun = performance.now();
    const { files, bytes } = await copyCaptured(capture);
    const captureUs = Math.round((performance.now() - begun) * 1000);
    return { ...result, captureUs, capturedFiles: files, capturedBytes: bytes };
  };
  const done = pending.done.then(finish);
  // BLCR cannot cancel: a request that was given up stops the job all the same when it ends, and nobody else would let it go.
  const released = Promise.allSettled([done, pending.settled]).then(([end]) => {
    if (!staysStopped || end.status === 'rejected') signalTree(options.target, 'SIGCONT');
  });
  done.catch(() => undefined); // whoever asked awaits it
  return { context: pending.context, done, settled: released };
}
