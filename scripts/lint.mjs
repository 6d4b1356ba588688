/**
 * Lint and format check of both languages, and the borders between the rooms.
 * Usage: lint.mjs [--write] [biome|clang-format|layering …]      --write: put right what can be put right; default: all checks
 * Exit status: 0 all passed, 1 otherwise.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { findViolations } from './support/layering.mjs';
import { packageFile, root } from './tools.mjs';

const isWriting = process.argv.includes('--write');

function succeeds(program, args) {
  return spawnSync(program, args, { cwd: root, stdio: 'inherit' }).status === 0;
}

function checkBiome() {
  const flags = isWriting ? ['--write'] : [];
  return succeeds(process.execPath, [
    packageFile('@biomejs/biome', 'bin/biome'),
    'check',
    '--error-on-warnings',
    ...flags,
  ]);
}

function checkClangFormat() {
  const files = readdirSync(join(root, 'native'), { recursive: true }).filter((name) => /\.(h|cc|c)$/.test(name));
  const bench = readdirSync(join(root, 'bench'), { recursive: true }).filter((name) => /\.(h|cc|c)$/.test(name));
  const paths = [...files.map((name) => join('native', name)), ...bench.map((name) => join('bench', name))];
  const flags = isWriting ? ['-i'] : ['--dry-run', '-Werror'];
  // The package's own launcher would change the mode of its binary, which only the owner of the checkout may.
  const binary = packageFile('clang-format-node', `bin/cfn-${process.platform}-${process.arch}/clang-format`);
  const { stderr, status } = spawnSync(binary, [...flags, ...paths], { cwd: root, encoding: 'utf8' });
  const places = stderr.split('\n').flatMap((line) => /^([^:]+):\d+:\d+: error:/.exec(line)?.[1] ?? []);
  for (const path of new Set(places)) process.stderr.write(`${path}: not formatted: npm run format\n`);
  if (status !== 0 && places.length === 0) process.stderr.write(stderr);
  return status === 0;
}

function checkLayering() {
  const violations = findViolations(root);
  for (const violation of violations) process.stderr.write(`${violation}\n`);
  return violations.length === 0;
}

const checks = { biome: checkBiome, 'clang-format': checkClangFormat, layering: checkLayering };
const wanted = process.argv.slice(2).filter((argument) => argument !== '--write');
const unknown = wanted.find((name) => !Object.hasOwn(checks, name));
if (unknown !== undefined) {
  process.stderr.write(`lint.mjs: no such check: ${unknown}\n`);
  process.exit(64);
}
const failed = Object.keys(checks).filter((name) => (wanted.length === 0 || wanted.includes(name)) && !checks[name]());
if (failed.length > 0) process.stderr.write(`lint: failed: ${failed.join(', ')}\n`);
process.exitCode = failed.length > 0 ? 1 : 0;
