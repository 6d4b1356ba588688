/** Input for the first act: an archive of programs and libraries of this machine. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PLACES = ['/usr/bin', '/usr/lib', '/usr/share', '/opt'];

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false; // not for this user
  }
}

function* filesBelow(directory: string): Generator<string> {
  if (!isReadable(directory)) return;
  const entries = readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile() && isReadable(path)) yield path;
  }
}

/** Files of this machine in a fixed order until they hold `bytes`. */
function pick(bytes: number): readonly string[] {
  const picked: string[] = [];
  let total = 0;
  for (const place of PLACES) {
    for (const path of filesBelow(place)) {
      const { size } = statSync(path);
      if (size === 0) continue;
      picked.push(path);
      total += size;
      if (total >= bytes) return picked;
    }
  }
  throw new Error(`the files below ${PLACES.join(', ')} that this user can read are less than ${bytes} bytes`);
}

/** Writes an archive of exactly `bytes` bytes. */
export function makeInput(path: string, bytes: number): void {
  const list = `${path}.files`;
  writeFileSync(list, pick(bytes).join('\0'));
  execFileSync('tar', ['--create', '--file', path, '--null', '--files-from', list, '--absolute-names'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  truncateSync(path, bytes);
}
