/** What both acts are given. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Stage {
  /** The checkout. */
  readonly root: string;
  /** Temporary directory of the demo, where the scratch directories of its "nodes" are made. */
  readonly directory: string;
  readonly chirpHost: string;
  readonly chirpPort: number;
}

export function makeStage(chirpHost: string, chirpPort: number): Stage & Disposable {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  const directory = mkdtempSync(join(tmpdir(), 'blcr-demo-'));
  return {
    root,
    directory,
    chirpHost,
    chirpPort,
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** A new scratch directory with a name that no earlier node had. */
export function makeScratch(stage: Stage, name: string): string {
  const path = mkdtempSync(join(stage.directory, `${name}-scratch-`));
  mkdirSync(path, { recursive: true });
  return path;
}

/** The commands as the package's user gets them: package.json's `bin`. */
export const commandOf = (stage: Stage, name: 'blcr' | 'blcr_wrapper'): string =>
  join(stage.root, 'node_modules/.bin', name);
