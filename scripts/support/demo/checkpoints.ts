/** The checkpoints of an incarnation as rows of a table. */
import { checkpointsOf } from '../event-log.ts';
import type { Incarnation } from './job.ts';
import { megabytes, seconds } from './narrative.ts';

export const CHECKPOINT_COLUMNS: readonly string[] = [
  'node',
  'checkpoint',
  'why',
  'snapshot',
  'stopped ms',
  'longest gap ms',
  'context MB',
  'files MB',
  'shipped MB',
  'total s',
];

/** @param node How the incarnation is called. */
export function checkpointRows(node: string, incarnation: Incarnation): readonly (readonly string[])[] {
  return checkpointsOf(incarnation.events).map((checkpoint) => [
    node,
    `#${checkpoint.sequence}`,
    checkpoint.reason,
    checkpoint.snapshot,
    (checkpoint.stopUs / 1000).toFixed(1),
    // A job that is stopped for good shows no end of its gap.
    checkpoint.reason === 'vacate'
      ? '-'
      : incarnation.longestGap(checkpoint.time - checkpoint.totalMs, checkpoint.time).toFixed(0),
    megabytes(checkpoint.contextBytes),
    megabytes(checkpoint.fileBytes),
    megabytes(checkpoint.storedBytes),
    seconds(checkpoint.totalMs),
  ]);
}
