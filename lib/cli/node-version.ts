/** A Node.js that is too old would fail in the middle of a job: it is told at the beginning. */
import { JobError } from '../errors.ts';
import { EXIT_CODES } from '../job/exit-status.ts';

/** AbortSignal.any came with 20.3, Symbol.asyncDispose with 20.5. Source: Node.js documentation. package.json and scripts/setup say the same. */
const OLDEST = [20, 5] as const;

/** @throws {JobError} `ERR_JOB_NODE` (exit 75): another node may have a newer one. */
export function requireNode(version: string = process.versions.node): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return;
  const message = `Node.js ${OLDEST.join('.')} or newer is needed, and ${process.execPath} is ${version}: install a newer one on this node, or use the single file dist/blcr_wrapper, which has its own`;
  throw new JobError(message, { code: 'ERR_JOB_NODE', exitCode: EXIT_CODES.temporary });
}
