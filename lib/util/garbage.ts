/** Garbage collected at a moment that suits. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;

/** Collects all garbage now, which stops this thread for some milliseconds. Left to itself an idle heap keeps shared memory, which V8 does not count. */
export function collectGarbage(): void {
  if (collect === undefined) {
    // The function `gc` exists only in contexts made under this flag.
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
  }
  collect();
}
