/** test/**\/*.test.ts: one process per file, outcomes through reporter.mjs. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Identity } from './identity.ts';
import { announce, type Outcome, type Suite } from './outcome.ts';
import { runProgram } from './program.ts';
import { runWithSecondLook } from './second-look.ts';

export interface NodeSuiteRequest {
  readonly title: string;
  readonly root: string;
  readonly files: readonly string[];
  readonly identity: Identity;
  readonly lanes: number;
  readonly timeoutSeconds: number;
  readonly isStrict: boolean;
}

/** Emulated machines take minutes where they are asked for (BLCR_TEST_KERNELS), and are skipped at once elsewhere. */
const MACHINES = { directory: 'test/vm/', timeoutSeconds: 1800 };

/** Paths of all test files relative to the checkout, sorted. */
export function findTestFiles(root: string): readonly string[] {
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test', name))
    .sort();
}

function readOutcomes(path: string): readonly Outcome[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Outcome);
}

async function runFile(file: string, request: NodeSuiteRequest): Promise<readonly Outcome[]> {
  const { identity, root } = request;
  const timeoutSeconds = file.startsWith(MACHINES.directory) ? MACHINES.timeoutSeconds : request.timeoutSeconds;
  const report = join(identity.directory, `outcomes-${file.replaceAll('/', '-')}`);
  const reporters = [
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./scripts/support/test/reporter.mjs',
    `--test-reporter-destination=${report}`,
  ];
  const command = [...identity.prefix, process.execPath, '--import', 'tsx', ...reporters, file];
  rmSync(report, { force: true }); // of the first run
  const { output, trouble, seconds } = await runProgram({ command, cwd: root, env: identity.env, timeoutSeconds });
  const outcomes = [...readOutcomes(report)];
  const hasFailed = outcomes.some((outcome) => outcome.status === 'failed');
  if (trouble !== '' && !hasFailed) outcomes.push({ name: 'the file itself', status: 'failed', reason: trouble });
  if (outcomes.length === 0) outcomes.push({ name: 'the file itself', status: 'failed', reason: 'it holds no test' });
  announce(`${file} ${identity.label}`, outcomes, seconds, `${output}${trouble === '' ? '' : `\n${file}: ${trouble}`}`);
  return outcomes.map((outcome) => ({ ...outcome, name: `${file}: ${outcome.name}` }));
}

/** Runs the files, `lanes` of them at a time; those that fail once more alone unless `isStrict`. */
export async function runNodeSuite(request: NodeSuiteRequest): Promise<Suite> {
  const started = performance.now();
  const { files, lanes, isStrict } = request;
  const outcomes = await runWithSecondLook({ items: files, lanes, work: (file) => runFile(file, request), isStrict });
  return { title: request.title, outcomes, seconds: (performance.now() - started) / 1000 };
}
