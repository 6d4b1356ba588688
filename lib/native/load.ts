/** The only file that loads a `.node`. Importing this package never does: the first use does, so that it fails where it can be handled. */
import { fileURLToPath } from 'node:url';
import bindings from 'bindings';
import { NativeLoadError } from '../errors.ts';
import type { NativeBinding } from './binding.ts';
import { currentBundle } from './bundle.ts';

/** The package's root: this file is lib/native/load.ts or dist/native/load.js. */
export const packageRoot: string = fileURLToPath(new URL('../../', import.meta.url));

/** Directory of the prebuilt binaries of this platform, relative to the package's root. */
export const prebuildDirectory: readonly string[] = ['prebuilds', `${process.platform}-${process.arch}`];

const NAME = 'node_blcr.node';

/** Where the addon may be, an own build before the one that came with the package. */
const TRY_LIST: readonly (readonly string[])[] = [['build', 'Release'], ['build', 'Debug'], prebuildDirectory];

let loaded: NativeBinding | undefined;

/**
 * Loads the addon, once per thread.
 *
 * @param file Path of the addon, for threads of the single executable; by default it is searched for.
 * @throws {NativeLoadError} `ERR_NATIVE_LOAD`: no file of the try-list could be loaded; `tried` says why for each. On anything but Linux there
 *   is none to try.
 */
export function loadNative(file?: string): NativeBinding {
  loaded ??= file === undefined ? load() : loadFile(file);
  return loaded;
}

function load(): NativeBinding {
  const bundle = currentBundle();
  if (bundle !== undefined) return loadFile(bundle.addon);
  if (process.platform !== 'linux') {
    throw new NativeLoadError(
      `node-blcr can checkpoint and restart on Linux only; this is ${process.platform}. Stores and the Chirp client work here`,
      { code: 'ERR_NATIVE_LOAD', tried: [] },
    );
  }
  const tried: { path: string; reason: string }[] = [];
  for (const directory of TRY_LIST) {
    try {
      return loadFrom(directory);
    } catch (error) {
      tried.push({ path: [...directory, NAME].join('/'), reason: reasonOf(error) });
    }
  }
  const list = tried.map(({ path, reason }) => `\n  ${path}: ${reason}`).join('');
  throw new NativeLoadError(
    `the native addon of node-blcr could not be loaded from ${packageRoot}:${list}\nRun "npm run build:addon" in that directory (it needs g++, make, python3 and Node's headers)`,
    { code: 'ERR_NATIVE_LOAD', tried },
  );
}

function loadFile(path: string): NativeBinding {
  const module: { exports: unknown } = { exports: {} };
  try {
    process.dlopen(module, path);
  } catch (cause) {
    throw new NativeLoadError(`the native addon inside this executable could not be loaded: ${reasonOf(cause)}`, {
      code: 'ERR_NATIVE_LOAD',
      tried: [{ path, reason: reasonOf(cause) }],
      cause,
    });
  }
  return module.exports as NativeBinding;
}

function loadFrom(directory: readonly string[]): NativeBinding {
  // `bindings` finds a module's root by looking at CommonJS stack frames, which ES modules do not give it: hence module_root.
  const module: NativeBinding & { path?: string } = bindings({
    bindings: NAME,
    module_root: packageRoot,
    try: [['module_root', ...directory, 'bindings']],
  });
  delete module.path; // added by `bindings`, no part of the border
  return module;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // The message of `bindings` for a missing file spans lines and repeats the path.
  return 'tries' in error ? 'not found' : (error.message.split('\n')[0] ?? 'unknown');
}
