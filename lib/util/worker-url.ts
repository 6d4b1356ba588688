/**
 * Where the code of a worker thread is, in one place: next to its starter, as TypeScript when the package runs from source and as JavaScript
 * from dist. A bundle has no such files: its entry point calls setWorkerLocator and says where (or with which source text) a worker starts.
 */
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** Maps a worker's name (`store-write`, `store-read`) to what `new Worker` takes: a file URL, or source text with `eval: true`. */
export type WorkerLocator = (name: string) => { readonly entry: string | URL; readonly options?: WorkerOptions };

let locator: WorkerLocator | undefined;

/**
 * Replaces the search for worker files, for bundles and single executables. Call it before the first worker starts.
 * @param locate The new locator; undefined restores the default.
 */
export function setWorkerLocator(locate: WorkerLocator | undefined): void {
  locator = locate;
}

/**
 * Starts a worker thread.
 * @param name Its name for the locator and in error messages.
 * @param from `import.meta.url` of the starting module.
 * @param file Path of the worker's module relative to `from`, without extension.
 * @param options As for `new Worker`.
 * @returns The started worker; a missing file is reported through its `error` event.
 */
export function startWorker(name: string, from: string, file: string, options: WorkerOptions): Worker {
  const located = locator?.(name);
  if (located !== undefined) return new Worker(located.entry, { ...options, ...located.options, name });
  if (!from.endsWith('.ts')) return new Worker(new URL(`${file}.js`, from), { ...options, name });
  // Node 20 does not apply a registered loader to the entry of a thread, only to what is imported once the thread has registered it itself.
  const entry = new URL(`${file}.ts`, from).href;
  const load = `import(${JSON.stringify(import.meta.resolve('tsx/esm/api'))}).then(({ register }) => {
    register();
    return import(${JSON.stringify(entry)});
  });`;
  return new Worker(load, { ...options, name, eval: true });
}
