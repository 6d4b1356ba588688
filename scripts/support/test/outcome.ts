/** What the runner counts. */

export interface Outcome {
  readonly name: string;
  /** `unsteady`: failed beside other tests, passed when run again alone; counted as passed. */
  readonly status: 'passed' | 'unsteady' | 'failed' | 'skipped';
  /** Why it was skipped or how it failed; may be empty. */
  readonly reason: string;
}

export interface Suite {
  readonly title: string;
  readonly outcomes: readonly Outcome[];
  readonly seconds: number;
}

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export function count(outcomes: readonly Outcome[]): Counts {
  const of = (status: Outcome['status']) => outcomes.filter((outcome) => outcome.status === status).length;
  return { passed: of('passed') + of('unsteady'), failed: of('failed'), skipped: of('skipped') };
}

/** One line for a finished program, its whole output only when something failed. */
export function announce(title: string, outcomes: readonly Outcome[], seconds: number, output: string): void {
  const { passed, failed, skipped } = count(outcomes);
  if (failed > 0) process.stdout.write(`${output.trimEnd()}\n`);
  const verdict = failed > 0 ? 'FAILED' : 'ok    ';
  const figures = [
    `${passed} passed`,
    ...(failed ? [`${failed} failed`] : []),
    ...(skipped ? [`${skipped} skipped`] : []),
  ];
  process.stdout.write(`${verdict} ${title}: ${figures.join(', ')} (${seconds.toFixed(1)} s)\n`);
}
