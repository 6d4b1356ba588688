/** Finds a libcr and remembers it. */
import { NativeLoadError } from '../errors.ts';
import type { NativeBinding } from '../native/binding.ts';
import { type LibraryCandidate, libraryCandidates } from '../native/libraries.ts';
import { loadNative } from '../native/load.ts';
import { errorMessage } from '../util/error-facts.ts';
import type { Provider } from './types.ts';

let opened: Provider | undefined;

/**
 * The libcr of this thread: `$NODE_BLCR_LIBCR`, else BLCR's own where its kernel modules are loaded, else the rootless one of this package.
 * Found at the first call; later calls return the same. A failure is not remembered.
 *
 * @throws {NativeLoadError} `ERR_NATIVE_LOAD`: no addon for this platform; `ERR_LIBCR_NOT_FOUND`: no libcr. `tried` lists paths and reasons.
 * @example console.log(openProvider().reasons.join('\n'))
 */
export function openProvider(): Provider {
  opened ??= openFirst(loadNative(), libraryCandidates());
  return opened;
}

/** openProvider's work, without memory: opens the first candidate that loads. */
export function openFirst(binding: NativeBinding, candidates: readonly LibraryCandidate[]): Provider {
  const tried: { path: string; reason: string }[] = [];
  for (const { path, what, skip } of candidates) {
    const reason = skip ?? tryOpen(binding, path);
    if (typeof reason !== 'string') {
      const reasons = tried.map((entry) => `${entry.path}: ${entry.reason}`);
      return { info: reason, binding, reasons: [...reasons, `${path}: ${what}, in use`] };
    }
    tried.push({ path, reason });
  }
  const list = tried.map(({ path, reason }) => `\n  ${path}: ${reason}`).join('');
  throw new NativeLoadError(
    `no libcr could be loaded:${list}\nRun "npm run build:native" in the package's directory, or set $NODE_BLCR_LIBCR to a libcr.so.0`,
    { code: 'ERR_LIBCR_NOT_FOUND', tried },
  );
}

/** LibraryInfo, or the reason why not. */
function tryOpen(binding: NativeBinding, path: string): Provider['info'] | string {
  try {
    return binding.openLibrary([path]);
  } catch (error) {
    return reasonOf(error);
  }
}

function reasonOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'tried' in error && Array.isArray(error.tried)) {
    const first: unknown = error.tried[0];
    if (typeof first === 'object' && first !== null && 'reason' in first) return String(first.reason);
  }
  return errorMessage(error);
}
