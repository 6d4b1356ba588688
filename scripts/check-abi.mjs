/**
 * Accounts for the C ABI: every function of native/include/libcr.h and crx.h is bound by the addon (and used there) or listed in
 * native/addon/library.h with the reason why not.
 * Usage: check-abi.mjs      prints what is wrong, exit status 1
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './tools.mjs';

const read = (...path) => readFileSync(join(root, 'native', ...path), 'utf8');
const matches = (text, pattern) => [...text.matchAll(pattern)].map((match) => match[1]);

function declaredFunctions() {
  return ['libcr.h', 'crx.h'].flatMap((name) => {
    const code = read('include', name)
      .replace(/\/\*[\s\S]*?\*\//g, '')
      .replace(/^\s*#.*(\\\n.*)*$/gm, '');
    return matches(code, /\b(crx?i?_\w+)\s*\([^;{]*\)\s*;/g);
  });
}

function problems() {
  const table = read('addon', 'library.h');
  const sources = readdirSync(join(root, 'native', 'addon'))
    .filter((name) => name.endsWith('.cc'))
    .map((name) => read('addon', name))
    .join('\n');
  const declared = new Set(declaredFunctions());
  const bound = new Set(matches(table, /\bX\((crx?i?_\w+)\)/g));
  const excused = new Set(matches(table, /^\/\/ {3}(crx?i?_\w+): \S.*$/gm));
  const isUsed = (name) => new RegExp(`(->|\\.|\\b)${name}\\b`).test(sources);
  return [
    ...[...declared]
      .filter((name) => !bound.has(name) && !excused.has(name))
      .map((name) => `${name}: neither bound nor listed with a reason`),
    ...[...bound].filter((name) => excused.has(name)).map((name) => `${name}: both bound and listed as not bound`),
    ...[...bound, ...excused]
      .filter((name) => !declared.has(name))
      .map((name) => `${name}: in library.h, but not declared in the headers`),
    ...[...bound].filter((name) => !isUsed(name)).map((name) => `${name}: bound, but used nowhere in the addon`),
    ...(declared.size < 20 ? [`only ${declared.size} declarations found in the headers`] : []),
  ];
}

const found = problems();
for (const problem of found) process.stdout.write(`check-abi: ${problem}\n`);
process.exitCode = found.length === 0 ? 0 : 1;
