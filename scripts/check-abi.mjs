/**
 * Accounts for the C ABI. Every function of native/include/libcr.h and crx.h is bound by the addon (and used there, and reached from
 * TypeScript) or listed in native/addon/library.h with the reason why not. Every symbol that BLCR's library defines is provided by ours, and
 * nothing else but crx_*, or left out with a reason.
 * Usage: check-abi.mjs      prints what is wrong, exit status 1
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LEFT_OUT, PRELOAD, PUBLIC, SEMI_PRIVATE } from './support/blcr-symbols.mjs';
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

/** BLCR's symbols against the header, the map of exports, and the sources of the libraries for LD_PRELOAD. */
function symbolProblems() {
  const map = read('libcr', 'exports.map').replace(/\/\*[\s\S]*?\*\//g, '');
  const exported = new Set(matches(map.slice(map.indexOf('global:'), map.indexOf('local:')), /\b(\w+)\s*;/g));
  const declared = new Set([...declaredFunctions(), 'cr_link_me']);
  const provided = [...PUBLIC, ...SEMI_PRIVATE];
  const left = LEFT_OUT.flatMap(({ names }) => names);
  const all = [...provided, ...left];
  return [
    ...provided.filter((name) => !exported.has(name)).map((name) => `${name}: not in native/libcr/exports.map`),
    ...provided.filter((name) => !declared.has(name)).map((name) => `${name}: not declared in libcr.h`),
    ...[...exported].filter((name) => !provided.includes(name)).map((name) => `${name}: exported, but BLCR has none`),
    ...left.filter((name) => exported.has(name)).map((name) => `${name}: exported and listed as left out`),
    ...(new Set(all).size === 81 ? [] : [`BLCR defines 81 symbols, ${new Set(all).size} are accounted for`]),
    ...Object.entries(PRELOAD)
      .filter(([library, name]) => !new RegExp(`\\bEXPORT int ${name}\\b`).test(read('preload', `${library}.c`)))
      .map(([library, name]) => `${name}: not in native/preload/${library}.c`),
  ];
}

/** A primitive that is bound must be reachable: lib/native/binding.ts names the method that the addon exports for it. */
function bindingProblems() {
  const exportedByAddon = matches(read('addon', 'module.cc'), /\bbind\("(\w+)"/g);
  const typed = readFileSync(join(root, 'lib', 'native', 'binding.ts'), 'utf8');
  return exportedByAddon
    .filter((name) => !new RegExp(`\\b${name}\\b`).test(typed))
    .map((name) => `${name}: exported by the addon, but not in lib/native/binding.ts`);
}

const found = [...problems(), ...symbolProblems(), ...bindingProblems()];
for (const problem of found) process.stdout.write(`check-abi: ${problem}\n`);
process.exitCode = found.length === 0 ? 0 : 1;
