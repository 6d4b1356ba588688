/** Starts a program under BLCR's cr_run. */
import { spawn } from 'node:child_process';
import { withoutBundle } from '../../native/bundle.ts';
import type { LaunchRequest, RunningProcess } from '../engine.ts';
import { failedToSpawn, watchExit } from '../launch.ts';
import { JOB_MARK } from './leftovers.ts';
import { runningTree } from './tree.ts';

/**
 * The program itself becomes our child, prepared by cr_run's preloaded library, in a session of its own. It has no lifeline: should this
 * process be killed, the next incarnation on this node ends it (leftovers.ts).
 * @throws {JobError} `ERR_JOB_NODE` when cr_run cannot be run here.
 */
export async function launchUnderCrRun(request: LaunchRequest): Promise<RunningProcess> {
  const child = spawn('cr_run', [request.command, ...request.args], {
    cwd: request.cwd,
    env: { ...withoutBundle(request.env), [JOB_MARK]: request.cwd },
    stdio: [...request.stdio],
    detached: true,
  });
  const exit = watchExit(child);
  await Promise.race([new Promise((resolve) => child.once('spawn', resolve)), failedToSpawn(child, 'cr_run')]);
  return runningTree(child.pid ?? 0, exit);
}
