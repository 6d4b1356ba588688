/**
 * Entry of the single executable, which is `blcr_wrapper`, and `blcr` when it is called so. Bundled by scripts/build-wrapper.mjs; not part of
 * the package.
 */

import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { getAsset } from 'node:sea';
import { adoptBundle } from '../native/bundle.ts';
import { setWorkerLocator } from '../util/worker-url.ts';
import { start } from './start.ts';

const program = basename(process.argv0) === 'blcr' ? 'blcr' : 'blcr_wrapper';
adoptBundle();
setWorkerLocator((name) => ({ entry: getAsset(`${name}.js`, 'utf8'), options: { eval: true } }));
// The executable was a descriptor: without this its number would be the name that ps and top show.
writeFileSync('/proc/self/comm', program);
void start(program, process.argv.slice(2));
