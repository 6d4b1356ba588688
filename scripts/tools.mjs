/** What the build scripts share: the package's root, running a program, one build of a directory at a time. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/**
 * Runs a program with inherited stdio.
 * @throws {Error} when it cannot be started or does not end with status 0
 */
export function run(program, args, { cwd = root, env = process.env, stdio = 'inherit' } = {}) {
  const { error, status, signal } = spawnSync(program, args, { cwd, env, stdio });
  if (error !== undefined) throw new Error(`cannot run ${program}: ${error.message}`, { cause: error });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${signal ?? `status ${status}`}`);
}

/** True when `program` can be started at all. */
export function isInstalled(program, args = ['--version']) {
  return spawnSync(program, args, { stdio: 'ignore' }).error === undefined;
}

/** Path of a file inside an installed package, or undefined. */
export function packageFile(name, file) {
  try {
    return join(dirname(createRequire(join(root, 'package.json')).resolve(`${name}/package.json`)), file);
  } catch {
    return undefined; // not installed: the caller has another way or says what is missing
  }
}

/**
 * Runs `main` while holding a lock below build/, so that two builds of the same directory do not meet. The lock is flock(1)'s: it ends with
 * the process that holds it. Without flock(1) builds are simply not protected from each other.
 */
export function withBuildLock(name, main) {
  const marker = `BLCR_LOCKED_${name.toUpperCase()}`;
  try {
    if (process.env[marker] === '1' || !isInstalled('flock')) return main();
    mkdirSync(join(root, 'build'), { recursive: true });
    const args = [join(root, 'build', `.${name}.lock`), process.execPath, ...process.argv.slice(1)];
    const { status } = spawnSync('flock', args, { stdio: 'inherit', env: { ...process.env, [marker]: '1' } });
    process.exitCode = status ?? 1;
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
