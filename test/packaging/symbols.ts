/** What binaries ask of the machine they are loaded on. */
import { execFileSync } from 'node:child_process';

/** The oldest C library that Node.js 20 runs with; nothing of ours may need a newer one. */
export const OLDEST_GLIBC = '2.28';

/** `GLIBC_2.34 dlopen` and the like: every symbol of `file` that needs a C library newer than `OLDEST_GLIBC`. */
export function tooNewSymbols(file: string): readonly string[] {
  const table = execFileSync('objdump', ['-T', file], { encoding: 'utf8', maxBuffer: 64 << 20 });
  const needed = [...table.matchAll(/\*UND\*.*\(?GLIBC_([\d.]+)\)?\s+(\S+)$/gm)];
  if (needed.length === 0) throw new Error(`objdump names no symbol of the C library in ${file}`);
  return needed
    .filter(([, version = '']) => isNewer(version, OLDEST_GLIBC))
    .map(([, version, symbol]) => `GLIBC_${version} ${symbol}`);
}

/** The libraries that the loader must find. */
export function neededLibraries(file: string): readonly string[] {
  const text = execFileSync('objdump', ['-p', file], { encoding: 'utf8', maxBuffer: 64 << 20 });
  return [...text.matchAll(/^\s+NEEDED\s+(\S+)/gm)].map(([, name = '']) => name);
}

/** No program interpreter: the file runs where there is no C library at all. */
export function isStatic(file: string): boolean {
  return !/^\s*INTERP\b/m.test(execFileSync('objdump', ['-p', file], { encoding: 'utf8', maxBuffer: 64 << 20 }));
}

function isNewer(version: string, than: string): boolean {
  const [left, right] = [version, than].map((text) => text.split('.').map(Number));
  const at = [0, 1, 2].find((index) => (left?.[index] ?? 0) !== (right?.[index] ?? 0));
  return at !== undefined && (left?.[at] ?? 0) > (right?.[at] ?? 0);
}
