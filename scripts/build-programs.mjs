/**
 * Makes dist/cli: the programs of bin/ and their worker threads, each in one file of CommonJS. Node takes about a third of a millisecond for
 * each module that it finds, reads and links, and a job that is restarted would wait for more than a hundred of them. One file is also what
 * does not change under a job that runs for weeks: nothing is loaded later but a whole worker.
 * tsc does not make lib/cli (it is in `npm run typecheck`); it makes what others import, dist/index.js.
 */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './tools.mjs';

const directory = 'dist/cli'; // as deep as lib/cli, so that paths relative to a module lead where they led

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: {
    main: 'lib/cli/main.ts',
    wrapper: 'lib/cli/wrapper.ts',
    // Threads are looked for beside the code that starts them (lib/util/worker-url.ts), which is here now.
    'write-worker': 'lib/store/write-worker.ts',
    'read-worker': 'lib/store/read-worker.ts',
  },
  outdir: directory,
  bundle: true,
  platform: 'node',
  format: 'cjs', // loads what is built into Node only when a command needs it
  target: 'node20',
  supported: { 'dynamic-import': false },
  packages: 'external',
  define: { 'import.meta.url': 'import_meta_url', 'import.meta.resolve': 'undefined' },
  banner: { js: "'use strict';const import_meta_url = require('node:url').pathToFileURL(__filename).href;" },
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
});
const settings = join(directory, 'package.json');
writeFileSync(join(root, settings), '{ "type": "commonjs" }\n');

// Written over and not removed first: a job that runs from here may start a worker at any moment.
const made = new Set([settings, ...Object.keys(metafile.outputs)]);
for (const name of readdirSync(join(root, directory)).map((entry) => join(directory, entry)))
  if (!made.has(name)) rmSync(join(root, name), { recursive: true });
