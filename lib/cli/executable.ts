/**
 * Entry of the single executable, which is `blcr_wrapper`, and `blcr` when it is called so. Bundled by scripts/build-wrapper.mjs; not part of
 * the package.
 */

import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { getAsset } from 'node:sea';
import { adoptBundle } from '../native/bundle.ts';
import { setWorkerLocator } from '../util/worker-url.ts';
import { hasJob, type ProgramName } from './invocation.ts';
import { captureSignals, releaseSignals } from './signals.ts';

async function start(program: ProgramName, args: readonly string[]): Promise<void> {
  captureSignals(); // the launcher has held them until now
  adoptBundle();
  setWorkerLocator((name) => ({ entry: getAsset(`${name}.js`, 'utf8'), options: { eval: true } }));
  // The executable was a descriptor: without this its number would be the name that ps and top show.
  writeFileSync('/proc/self/comm', program);
  if (!hasJob(program, args)) await releaseSignals();
  const { dispatch, dispatchClassic } = await import('./dispatch.ts');
  await (program === 'blcr' ? dispatch(args) : dispatchClassic(args));
}

const program = basename(process.argv0) === 'blcr' ? 'blcr' : 'blcr_wrapper';
void start(program, process.argv.slice(2));
