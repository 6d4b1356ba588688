/** Memory back to the system at a moment that suits, for a process that then sits idle for an hour. */
import { collectGarbage } from '../util/garbage.ts';
import { loadNative } from './load.ts';

/** Collects all garbage and empties the C library's heap, which stops this thread for some milliseconds. */
export function releaseMemory(): void {
  collectGarbage();
  loadNative().trimHeap();
}
