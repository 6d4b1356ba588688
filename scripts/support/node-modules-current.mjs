/**
 * Exit status 0 when node_modules holds what package-lock.json says, 1 when `npm ci` is due. Compares npm's own record of the installation
 * (node_modules/.package-lock.json, written last) with the lock file, so that an interrupted installation counts as none, and looks whether
 * what it names is there.
 */
import { existsSync, readFileSync } from 'node:fs';

function packages(path) {
  return Object.entries(JSON.parse(readFileSync(path, 'utf8')).packages).filter(([name]) => name !== '');
}

function isCurrent() {
  let installed;
  try {
    installed = new Map(packages('node_modules/.package-lock.json'));
  } catch {
    return false; // never installed, or the record is damaged
  }
  const wanted = packages('package-lock.json');
  // Packages for other platforms are in the lock file but not installed.
  const isComplete = wanted.every(
    ([name, entry]) => (installed.get(name)?.version ?? (entry.optional ? entry.version : '')) === entry.version,
  );
  const names = new Set(wanted.map(([name]) => name));
  return isComplete && [...installed.keys()].every((name) => names.has(name) && existsSync(name));
}

process.exitCode = isCurrent() ? 0 : 1;
