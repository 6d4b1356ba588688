/** Memory back to the system at a moment that suits, for a process that then sits idle for an hour. */
import { collectGarbage } from '../util/garbage.ts';
import { loadNative } from './load.ts';

/** Collects all garbage, empties the C library's heap and forgets code that was read from files, which stops this thread for some milliseconds. */
export function releaseMemory(): void {
  collectGarbage();
  loadNative().trimMemory();
}
