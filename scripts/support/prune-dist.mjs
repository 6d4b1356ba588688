/** Removes from dist/ what has no source in lib/ any more; tsc never deletes. dist/cli is scripts/build-programs.mjs's. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const OUTPUT = /(\.d\.ts|\.js\.map|\.js)$/;
const entries = existsSync('dist') ? readdirSync('dist', { recursive: true, withFileTypes: true }) : [];

for (const entry of entries) {
  const path = join(entry.parentPath ?? entry.path, entry.name);
  const isOutput = entry.isFile() && OUTPUT.test(path) && !path.startsWith('dist/cli/');
  if (isOutput && !existsSync(path.replace(/^dist/, 'lib').replace(OUTPUT, '.ts'))) rmSync(path);
}
