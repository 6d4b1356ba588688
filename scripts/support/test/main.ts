/** Runs every suite and sums up; see scripts/test. */
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runChecks } from './check-suite.ts';
import { makeIdentities } from './identity.ts';
import { runNativeSuite, runSanitizedSuite } from './native-suite.ts';
import { findTestFiles, runNodeSuite } from './node-suite.ts';
import { count, type Suite } from './outcome.ts';
import { printSummary } from './summary.ts';

const KINDS = ['checks', 'native', 'sanitizers', 'unit', 'integration'] as const;
type Kind = (typeof KINDS)[number];

/** Whole programs, servers and pools: with more time for each file than unit tests have. */
const INTEGRATION = /^test\/(integration|condor)\/|-integration\.test\.ts$/;
/** Run by root a second time as an ordinary user; the other ones give up root's rights themselves where it matters. */
const BOTH_WAYS = 'test/integration/';

interface Selection {
  readonly kinds: readonly Kind[];
  readonly isWanted: (file: string) => boolean;
  /** The first failure counts. */
  readonly isStrict: boolean;
}

function readArguments(): Selection {
  const { values, positionals } = parseArgs({
    options: { only: { type: 'string', multiple: true }, strict: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const unknown = values.only?.find((name) => !KINDS.some((kind) => kind === name));
  if (unknown !== undefined) throw new Error(`--only takes ${KINDS.join(', ')}, not ${unknown}`);
  const isWanted = (file: string) => positionals.length === 0 || positionals.some((part) => file.includes(part));
  const byName = positionals.length > 0 ? KINDS.filter((kind) => kind === 'unit' || kind === 'integration') : KINDS;
  return {
    kinds: values.only === undefined ? byName : KINDS.filter((kind) => values.only?.includes(kind)),
    isWanted,
    isStrict: values.strict,
  };
}

async function runAll(selection: Selection, root: string): Promise<readonly Suite[]> {
  const { own, user, obstacle, base } = makeIdentities(root);
  const { kinds, isWanted, isStrict } = selection;
  const files = findTestFiles(root).filter(isWanted);
  const isIntegration = (file: string) => INTEGRATION.test(file);
  const identities = user === undefined ? [own] : [own, user];
  const suites: Suite[] = [];
  try {
    if (kinds.includes('checks')) suites.push(await runChecks('checks of the source', own, root));
    if (kinds.includes('native')) {
      for (const identity of identities)
        suites.push(
          await runNativeSuite({
            title: `native unit tests, ${identity.label}`,
            root,
            directory: 'build/native',
            identity,
            isStrict,
          }),
        );
    }
    if (kinds.includes('sanitizers'))
      suites.push(await runSanitizedSuite({ title: 'native unit tests, ASan + UBSan', root, identity: own, isStrict }));
    if (kinds.includes('unit')) {
      const request = { root, identity: own, lanes: 2, timeoutSeconds: 120, isStrict };
      suites.push(
        await runNodeSuite({ ...request, title: 'unit tests', files: files.filter((file) => !isIntegration(file)) }),
      );
    }
    if (kinds.includes('integration')) {
      for (const identity of identities) {
        const wanted = files.filter((file) => isIntegration(file) && (identity === own || file.startsWith(BOTH_WAYS)));
        const request = { root, identity, lanes: 2, timeoutSeconds: 300, files: wanted, isStrict };
        suites.push(await runNodeSuite({ ...request, title: `integration tests, ${identity.label}` }));
      }
    }
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
  if (obstacle === undefined) return suites;
  return [
    ...suites,
    {
      title: 'as an ordinary user',
      outcomes: [{ name: 'second pass', status: 'skipped', reason: obstacle }],
      seconds: 0,
    },
  ];
}

const root = resolve(fileURLToPath(new URL('../../..', import.meta.url)));
try {
  const suites = await runAll(readArguments(), root);
  printSummary(suites);
  const { passed, failed } = count(suites.flatMap((suite) => suite.outcomes));
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
} catch (error) {
  process.stdout.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n0 passed, 1 failed, 0 skipped\n`,
  );
  process.exitCode = 1;
}
