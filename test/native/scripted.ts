/** Builds the scripted libcr and gives tests a provider that uses it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openFirst } from '../../lib/checkpoint/provider.ts';
import type { Provider } from '../../lib/checkpoint/types.ts';
import { loadNative, packageRoot } from '../../lib/native/load.ts';

const source = fileURLToPath(new URL('scripted_libcr.c', import.meta.url));

/** Path of the addon, for programs that load it by themselves. */
export const addonPath: string = join(packageRoot, 'build', 'Release', ['node_blcr', 'node'].join('.'));

let built: string | undefined;

/** Compiles the library once per process; it is deleted when the process ends. */
export function buildScriptedLibrary(): string {
  if (built !== undefined) return built;
  const directory = mkdtempSync(join(tmpdir(), 'blcr-scripted-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  built = join(directory, 'libcr.so.0');
  const flags = ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-O1', '-g', '-shared', '-fPIC', '-fvisibility=hidden'];
  execFileSync('cc', [...flags, `-I${join(packageRoot, 'native', 'include')}`, '-o', built, source, '-lpthread'], {
    stdio: 'inherit',
  });
  return built;
}

export function openScripted(): Provider {
  return openFirst(loadNative(), [{ path: buildScriptedLibrary(), what: 'scripted', skip: undefined }]);
}

/** What the next requests do; see scripted_libcr.c. */
export function script(settings: Readonly<Record<string, string | number>>): void {
  process.env['SCRIPTED_LIBCR'] = Object.entries(settings)
    .map(([key, value]) => `${key}=${value}`)
    .join(';');
}
