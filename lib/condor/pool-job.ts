/** Jobs that a node wraps without having been asked by their submit files: which ones, and how. */

import { Ad } from './ad.ts';
import { baseName } from './description.ts';
import { readCondorJob } from './sandbox.ts';

export type Verdict =
  | {
      readonly wrap: true;
      readonly store: string;
      readonly id: string;
      readonly every: string | undefined;
      /** As the program is named in every sandbox. */
      readonly program: string;
      /** It may have checkpoints from an earlier run. */
      readonly isLater: boolean;
    }
  /** @property reason In words; undefined when nobody wanted it wrapped. */
  | { readonly wrap: false; readonly reason: string | undefined };

const VANILLA = 5;

/**
 * Wrapped is a vanilla job whose ad has BlcrStore, or any where the pool has a store for all (`$BLCR_STORE`), provided that the queue takes 85 and
 * 75 for what they are: for any other job those would be the end of it.
 */
export function judgePoolJob(program: string, env: NodeJS.ProcessEnv): Verdict {
  const ad = Ad.read(env['_CONDOR_JOB_AD']);
  const job = readCondorJob(env);
  const store = ad.text('BlcrStore') ?? env['BLCR_STORE'] ?? '';
  if (store === '') return { wrap: false, reason: undefined };
  if (job?.globalJobId === undefined) return { wrap: false, reason: 'there is no job ad with a GlobalJobId' };
  const obstacle = findObstacle(ad, program);
  if (obstacle !== undefined) return { wrap: false, reason: obstacle };
  const { globalJobId: id, runCount } = job;
  const named = nameInSandbox(program, env['_CONDOR_SCRATCH_DIR']);
  return { wrap: true, store, id, every: ad.text('BlcrEvery'), program: named, isLater: runCount > 1 };
}

function findObstacle(ad: Ad, program: string): string | undefined {
  const command = ad.text('Cmd') ?? '';
  if (ad.integer('JobUniverse') !== VANILLA) return 'it is not of the vanilla universe';
  if (/^blcr(_wrapper)?$/.test(baseName(command))) return 'it is wrapped already';
  if (baseName(command) !== baseName(program)) return `${program} is not the job's executable`;
  if (ad.boolean('InteractiveJob') === true) return 'it is interactive';
  if (ad.boolean('WantContainer') === true || ad.boolean('WantDocker') === true) return 'it runs in a container';
  if (ad.integer('SuccessCheckpointExitCode') !== undefined) return 'it makes checkpoints of its own';
  const remove = ad.expression('OnExitRemove') ?? '';
  if (!/\b85\b/.test(remove) || !/\b75\b/.test(remove))
    return 'its on_exit_remove would take the exit codes 85 and 75 for its end';
  return undefined;
}

/** The sandbox has another path at the next start, and the program must have the same name there. */
function nameInSandbox(program: string, sandbox: string | undefined): string {
  return sandbox !== undefined && program.startsWith(`${sandbox}/`) ? `.${program.slice(sandbox.length)}` : program;
}
