/** `npm run bench -- NAME [args]`: runs one benchmark; without a name, lists them. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const directory = dirname(fileURLToPath(import.meta.url));
const [name, ...args] = process.argv.slice(2);
const names = readdirSync(directory).flatMap((file) =>
  file !== 'main.ts' && file.endsWith('.ts') ? [file.slice(0, -3)] : [],
);

if (name === undefined || !existsSync(join(directory, `${name}.ts`))) {
  process.stderr.write(`usage: npm run bench -- ${names.join(' | ')} [--rounds N]\n`);
  process.exitCode = 64;
} else {
  const command = ['--import', 'tsx', join(directory, `${name}.ts`), ...args];
  process.exitCode = spawnSync(process.execPath, command, { stdio: 'inherit' }).status ?? 1;
}
