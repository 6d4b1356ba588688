/** Which libcr may serve this machine, best first, and why. */
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { currentBundle } from './bundle.ts';
import { packageRoot, prebuildDirectory } from './load.ts';

/** File name of the library. Source: SONAME of BLCR's libcr. */
export const LIBRARY_NAME = 'libcr.so.0';

/** The executable that our library needs beside it, unless $BLCR_KEEPER names another. */
const KEEPER_NAME = 'blcr-keeper';

/** Present when BLCR's kernel modules are loaded. Source: BLCR, cr_module's /proc entry. */
const BLCR_CONTROL = '/proc/checkpoint/ctrl';

/** The command beside whose directory BLCR's library is installed, and where. Source: BLCR, configure (bindir, libdir). */
const BLCR_COMMAND = 'cr_run';
const BLCR_LIBRARY_DIRECTORIES = ['lib', 'lib64'];

export interface LibraryCandidate {
  /** What to give to dlopen. */
  readonly path: string;
  /** What this candidate is, in words. */
  readonly what: string;
  /** Why it is not worth trying; undefined when it is. */
  readonly skip: string | undefined;
}

export interface CandidateOptions {
  /** Default `process.env`. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Default: the package's own directory. */
  readonly root?: string;
  /** Default `fs.existsSync`. */
  readonly exists?: (path: string) => boolean;
}

/**
 * The candidates in order: `$NODE_BLCR_LIBCR`; BLCR's own library where its kernel modules are loaded; the library that came with this
 * package, an own build first. A library that the user names is the only candidate: one that does not load is an error, not a hint.
 */
export function libraryCandidates(options: CandidateOptions = {}): readonly LibraryCandidate[] {
  const environment = options.environment ?? process.env;
  const root = options.root ?? packageRoot;
  const exists = options.exists ?? existsSync;
  const named = environment['NODE_BLCR_LIBCR'];
  if (named !== undefined && named !== '') {
    return [{ path: named, what: 'named by $NODE_BLCR_LIBCR', skip: undefined }];
  }
  const inside = currentBundle();
  const bundled =
    inside !== undefined
      ? [inside.library]
      : [join(root, 'build', 'native', LIBRARY_NAME), join(root, ...prebuildDirectory, LIBRARY_NAME)];
  return [
    {
      path: LIBRARY_NAME,
      what: "BLCR's own library",
      skip: exists(BLCR_CONTROL) ? undefined : `${BLCR_CONTROL} does not exist: BLCR's kernel modules are not loaded`,
    },
    ...(exists(BLCR_CONTROL) ? besideCommand(environment, exists) : []),
    ...bundled.map((path) => ({
      path,
      what: 'the rootless library of this package',
      skip: missingPart(path, environment, exists),
    })),
  ];
}

/** BLCR as its sources install it: below a prefix in which the loader does not look before somebody has run ldconfig. */
function besideCommand(environment: NodeJS.ProcessEnv, exists: (path: string) => boolean): LibraryCandidate[] {
  const directories = (environment['PATH'] ?? '').split(delimiter).filter((directory) => directory.startsWith('/'));
  const prefix = directories.find((directory) => exists(join(directory, BLCR_COMMAND)));
  if (prefix === undefined) return [];
  return BLCR_LIBRARY_DIRECTORIES.map((name) => join(prefix, '..', name, LIBRARY_NAME))
    .filter(exists)
    .map((path) => ({ path, what: `BLCR's own library, beside ${join(prefix, BLCR_COMMAND)}`, skip: undefined }));
}

function missingPart(
  path: string,
  environment: NodeJS.ProcessEnv,
  exists: (path: string) => boolean,
): string | undefined {
  if (!exists(path)) return 'not found';
  const keeper = environment['BLCR_KEEPER'] ?? join(dirname(path), KEEPER_NAME);
  return exists(keeper) ? undefined : `its keeper ${keeper} is missing`;
}
