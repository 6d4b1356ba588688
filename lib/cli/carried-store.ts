/**
 * `--store condor:`: HTCondor itself carries the checkpoints, from the sandbox to the submit machine and back. The job leaves with the exit
 * code that its submit file calls `checkpoint_exit_code`, its checkpoint is carried, and it is started again. Source: HTCondor manual,
 * "Self-checkpointing applications". At an eviction only files at the top of the sandbox are carried, so it is one. The job-local proxy has no
 * part in it: a write that fails there costs the job its connection.
 */

import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CARRIED_FILE } from '../condor/description.ts';
import { readCondorJob } from '../condor/sandbox.ts';
import { UsageError } from '../errors.ts';
import { OWN_DIRECTORY } from '../job/scratch-owner.ts';
import { packDirectory, unpackDirectory } from '../store/archive.ts';
import { errorMessage } from '../util/error-facts.ts';
import type { LateWarning } from './late-warning.ts';

export class CarriedStore {
  readonly #directory: string;
  readonly #file: string;

  /**
   * @param requeueCode What the wrapper exits with when it leaves.
   * @throws {UsageError} when HTCondor would not carry it.
   */
  constructor(env: NodeJS.ProcessEnv, requeueCode: number) {
    const job = readCondorJob(env);
    const scratch = env['_CONDOR_SCRATCH_DIR'];
    if (job === undefined || scratch === undefined)
      throw new UsageError('--store condor: is for jobs of HTCondor; name a Chirp server or a directory elsewhere');
    if (job.checkpointExitCode !== requeueCode)
      throw new UsageError(`--store condor: the submit file has to say checkpoint_exit_code = ${requeueCode}`);
    if (!job.checkpointFiles.includes(CARRIED_FILE))
      throw new UsageError(`--store condor: transfer_checkpoint_files has to name ${CARRIED_FILE}`);
    this.#directory = join(scratch, OWN_DIRECTORY, 'store');
    this.#file = join(scratch, CARRIED_FILE);
  }

  get url(): string {
    return pathToFileURL(this.#directory).href;
  }

  /** Before anybody looks into the sandbox. Started again where it was, the store is still there. */
  async unpack(): Promise<void> {
    if (existsSync(this.#file) && !existsSync(this.#directory)) await unpackDirectory(this.#file, this.#directory);
    await rm(this.#file, { force: true });
  }

  /**
   * This run is over. Nothing is carried of a job that has removed its checkpoints, because it has ended. What cannot be packed, for want of space,
   * is not carried either: HTCondor keeps what it has carried before.
   * @returns false in that case: this run must not be taken for one that leaves a checkpoint.
   */
  async pack(warn: (warning: LateWarning) => void): Promise<boolean> {
    try {
      if (await holdsFiles(this.#directory)) await packDirectory(this.#directory, this.#file);
      return true;
    } catch (error) {
      const message = `the checkpoint cannot be carried to the submit machine: ${errorMessage(error)}`;
      warn({ code: 'ERR_JOB_CARRY', message, consequence: 'the job goes on from the one before (exit 75)' });
      return false;
    }
  }
}

async function holdsFiles(directory: string): Promise<boolean> {
  if (!existsSync(directory)) return false;
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.some((entry) => entry.isFile());
}
