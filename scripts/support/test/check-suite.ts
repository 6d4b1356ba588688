/** Checks of the source itself: lint and format of both languages, borders, types. */
import type { Identity } from './identity.ts';
import { announce, type Outcome, type Suite } from './outcome.ts';
import { runProgram } from './program.ts';

const CHECKS: readonly (readonly [name: string, ...args: readonly string[]])[] = [
  ['biome', 'scripts/lint.mjs', 'biome'],
  ['clang-format', 'scripts/lint.mjs', 'clang-format'],
  ['layering', 'scripts/lint.mjs', 'layering'],
  ['types', 'node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'],
];

export async function runChecks(title: string, identity: Identity, root: string): Promise<Suite> {
  const started = performance.now();
  const outcomes: Outcome[] = [];
  for (const [name, ...args] of CHECKS) {
    const command = [process.execPath, ...args];
    const { output, trouble, seconds } = await runProgram({
      command,
      cwd: root,
      env: identity.env,
      timeoutSeconds: 180,
    });
    const outcome: Outcome = { name, status: trouble === '' ? 'passed' : 'failed', reason: trouble };
    announce(name, [outcome], seconds, output);
    outcomes.push(outcome);
  }
  return { title, outcomes, seconds: (performance.now() - started) / 1000 };
}
