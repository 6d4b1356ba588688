/** The end of the log: what failed, what was skipped and why, a table, and the closing line. */
import { count, type Outcome, type Suite } from './outcome.ts';

function list(title: string, outcomes: readonly Outcome[]): void {
  if (outcomes.length === 0) return;
  process.stdout.write(`\n${title}:\n`);
  for (const { name, reason } of outcomes) process.stdout.write(`  ${name}${reason === '' ? '' : ` - ${reason}`}\n`);
}

/** Skips of the same test for the same reason (as root and as user) are one line. */
function distinct(outcomes: readonly Outcome[]): readonly Outcome[] {
  return [...new Map(outcomes.map((outcome) => [`${outcome.name}\n${outcome.reason}`, outcome])).values()];
}

export function printSummary(suites: readonly Suite[]): void {
  const all = suites.flatMap((suite) => suite.outcomes);
  list('Skipped', distinct(all.filter((outcome) => outcome.status === 'skipped')));
  list(
    'Unsteady (failed beside other tests, passed when run again alone; see the output above)',
    all.filter((outcome) => outcome.status === 'unsteady'),
  );
  list(
    'Failed',
    all.filter((outcome) => outcome.status === 'failed'),
  );
  const width = Math.max(...suites.map((suite) => suite.title.length), 5);
  const row = (title: string, cells: readonly (string | number)[]) =>
    process.stdout.write(`${title.padEnd(width)}${cells.map((cell) => String(cell).padStart(9)).join('')}\n`);
  process.stdout.write('\n');
  row('', ['passed', 'failed', 'skipped', 'seconds']);
  for (const suite of suites) {
    const { passed, failed, skipped } = count(suite.outcomes);
    row(suite.title, [passed, failed, skipped, suite.seconds.toFixed(1)]);
  }
  const { passed, failed, skipped } = count(all);
  process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
}
