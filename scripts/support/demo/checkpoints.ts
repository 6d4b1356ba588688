/** The checkpoints of all incarnations of a job, as a table and in one sentence. */
import { type CheckpointRecord, checkpointsOf } from '../event-log.ts';
import type { Incarnation } from './job.ts';
import { megabytes, say, seconds, table } from './narrative.ts';

const COLUMNS: readonly string[] = [
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
const ROWS_PER_NODE = 4;

interface Entry {
  readonly node: number;
  readonly checkpoint: CheckpointRecord;
  /** Undefined for an eviction: a job that is stopped for good shows no end of its gap. */
  readonly gapMs: number | undefined;
}

function rowOf({ node, checkpoint, gapMs }: Entry): readonly string[] {
  return [
    `${node}`,
    `#${checkpoint.sequence}`,
    checkpoint.reason,
    checkpoint.snapshot,
    (checkpoint.stopUs / 1000).toFixed(1),
    gapMs === undefined ? '-' : gapMs.toFixed(0),
    megabytes(checkpoint.contextBytes),
    megabytes(checkpoint.fileBytes),
    megabytes(checkpoint.storedBytes),
    seconds(checkpoint.totalMs),
  ];
}

const middle = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

export class Ledger {
  readonly #entries: Entry[] = [];

  /** Takes down the checkpoints of an incarnation; before its scratch directory is deleted. */
  add(node: number, incarnation: Incarnation): void {
    for (const checkpoint of checkpointsOf(incarnation.events)) {
      const isEviction = checkpoint.reason === 'vacate';
      const gapMs = isEviction
        ? undefined
        : incarnation.longestGap(checkpoint.time - checkpoint.totalMs, checkpoint.time);
      this.#entries.push({ node, checkpoint, gapMs });
    }
  }

  print(): void {
    const shown = this.#entries.filter(
      (entry) => this.#entries.filter(({ node }) => node === entry.node).indexOf(entry) < ROWS_PER_NODE,
    );
    table(COLUMNS, shown.map(rowOf));
    const stops = this.#entries.map(({ checkpoint }) => checkpoint.stopUs / 1000);
    const gaps = this.#entries.flatMap(({ gapMs }) => gapMs ?? []);
    const shipped = this.#entries.reduce((total, { checkpoint }) => total + checkpoint.storedBytes, 0);
    const seen = gaps.length === 0 ? '' : `, longest gap seen ${Math.max(...gaps).toFixed(0)} ms`;
    say(
      `${this.#entries.length} checkpoints in all: stopped for ${middle(stops).toFixed(1)} ms (median), ${Math.max(...stops).toFixed(1)} ms (most)${seen}; ${megabytes(shipped)} MB shipped`,
    );
  }
}
