/** The C++ unit tests as ctest knows them. Run without ctest, which wants to write into the build directory, as every user must be able to. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Identity } from './identity.ts';
import { announce, type Outcome, type Suite } from './outcome.ts';
import { runProgram } from './program.ts';
import { runWithSecondLook } from './second-look.ts';

/** As many as the smallest machine has processors. */
const LANES = 2;

interface NativeTest {
  readonly name: string;
  readonly command: readonly string[];
  readonly properties?: readonly { readonly name: string; readonly value: unknown }[];
}

function listTests(directory: string): readonly NativeTest[] {
  const { stdout } = spawnSync('ctest', ['--test-dir', directory, '--show-only=json-v1'], { encoding: 'utf8' });
  return (JSON.parse(stdout) as { tests: readonly NativeTest[] }).tests;
}

function property(test: NativeTest, name: string): unknown {
  return test.properties?.find((found) => found.name === name)?.value;
}

/** check.h prints one line per case; a program that died in the middle adds a failure of its own. */
function outcomesOf(test: NativeTest, output: string, trouble: string): readonly Outcome[] {
  const outcomes = [...output.matchAll(/^(ok|FAILED|skipped) ([^\n]+)$/gm)].map(([, verdict, rest = '']): Outcome => {
    const [name = '', reason = ''] = rest.split(': ');
    const status = verdict === 'ok' ? 'passed' : verdict === 'FAILED' ? 'failed' : 'skipped';
    return { name: `${test.name}: ${name}`, status, reason };
  });
  const hasFailed = outcomes.some((outcome) => outcome.status === 'failed');
  if (trouble !== '' && !hasFailed) outcomes.push({ name: test.name, status: 'failed', reason: trouble });
  if (outcomes.length === 0) outcomes.push({ name: test.name, status: 'passed', reason: '' });
  return outcomes;
}

async function runTest(test: NativeTest, directory: string, identity: Identity, root: string) {
  const timeoutSeconds = Number(property(test, 'TIMEOUT') ?? 120);
  const command = [...identity.prefix, ...test.command];
  const { output, trouble, seconds } = await runProgram({ command, cwd: root, env: identity.env, timeoutSeconds });
  const outcomes = outcomesOf(test, output, trouble);
  announce(`${directory} ${test.name} ${identity.label}`, outcomes, seconds, `${output}${trouble}`);
  return outcomes;
}

export interface NativeSuiteRequest {
  readonly title: string;
  readonly root: string;
  /** A build directory, relative to the root. */
  readonly directory: string;
  readonly identity: Identity;
  readonly isStrict: boolean;
}

/** Runs every test registered in a build directory, `LANES` at a time; those that fail once more alone unless `isStrict`. */
export async function runNativeSuite(request: NativeSuiteRequest): Promise<Suite> {
  const { title, root, directory, identity, isStrict } = request;
  const started = performance.now();
  const tests = listTests(join(root, directory));
  const work = (test: NativeTest) => runTest(test, directory, identity, root);
  const outcomes = await runWithSecondLook({ items: tests, lanes: LANES, work, isStrict });
  if (tests.length === 0)
    outcomes.push({ name: title, status: 'failed', reason: `no test is registered in ${directory}` });
  return { title, outcomes, seconds: (performance.now() - started) / 1000 };
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false; // the checkout belongs to somebody else
  }
}

/** Builds the unit tests with AddressSanitizer and UndefinedBehaviorSanitizer and runs them. */
export async function runSanitizedSuite(request: Omit<NativeSuiteRequest, 'directory'>): Promise<Suite> {
  const { title, root, identity } = request;
  const directory = 'build/native-asan';
  const isOurs = isWritable(join(root, 'build'));
  if (!isOurs && !existsSync(join(root, directory, 'CTestTestfile.cmake'))) {
    const reason = 'the checkout belongs to another user and has no sanitizer build';
    return { title, outcomes: [{ name: title, status: 'skipped', reason }], seconds: 0 };
  }
  if (isOurs) {
    const command = [process.execPath, 'scripts/build-native.mjs', '--sanitize'];
    const built = await runProgram({ command, cwd: root, env: identity.env, timeoutSeconds: 1200 });
    const outcome: Outcome = {
      name: 'sanitizer build',
      status: built.trouble === '' ? 'passed' : 'failed',
      reason: built.trouble,
    };
    announce('sanitizer build', [outcome], built.seconds, built.output);
    if (outcome.status === 'failed') return { title, outcomes: [outcome], seconds: built.seconds };
  }
  // Victims are forks of their test: memory kept back by the sanitizer would be dumped again and again.
  const env = { ...identity.env, ASAN_OPTIONS: 'quarantine_size_mb=1' };
  return runNativeSuite({ ...request, directory, identity: { ...identity, env } });
}
