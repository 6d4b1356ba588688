/** Inside the machine: runs the suite and prints the line that sums it up. */
import { join } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const counts = { passed: 0, failed: 0, skipped: 0 };
/** Names of the parts, separated by commas. */
const wanted = (process.argv[2] ?? '').split(',');
const files = wanted.map((name) => join(here, `${name}.mjs`));
const events = run({ files, concurrency: 1 });
events.on('test:pass', (data) => {
  if (data.nesting > 0 || data.file === undefined) return;
  counts[data.skip === undefined ? 'passed' : 'skipped'] += 1;
});
events.on('test:fail', () => {
  counts.failed += 1;
});
const report = events.compose(new spec());
report.on('end', () => {
  process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
  process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;
});
report.pipe(process.stdout, { end: false });
