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

/** How long the acts are. */
export interface Length {
  /** How often the machine is lost. */
  readonly kills: number;
  readonly periodMinutes: number;
  /** Bytes; more are taken where they are compressed in less than the next. */
  readonly smallestInput: number;
  /** Shorter, and the job might end before it has been killed often enough. */
  readonly shortestRunMs: number;
  /** Of the second act. */
  readonly shortestPythonMs: number;
}

export const WHOLE: Length = {
  kills: 3,
  periodMinutes: 0.08,
  smallestInput: 96e6,
  shortestRunMs: 24_000,
  shortestPythonMs: 8_000,
};
/** `--short`: everything once, for the tests. */
export const SHORT: Length = {
  kills: 1,
  periodMinutes: 0.02,
  smallestInput: 16e6,
  shortestRunMs: 3_000,
  shortestPythonMs: 2_000,
};

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
