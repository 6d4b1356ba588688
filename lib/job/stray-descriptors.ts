/**
 * Pipes and sockets that whoever started this process left open for its children, above stdin, stdout and stderr: batch systems and shells do
 * so by accident. They lead outside of the job, so that no checkpoint of it could ever be taken.
 */

import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface StrayDescriptor {
  readonly fd: number;
  /** As /proc names it, such as `pipe:[4711]`. */
  readonly what: string;
}

/** Source: asm-generic/fcntl.h; descriptors that Node opens itself all have it. */
const O_CLOEXEC = 0o2000000;

/** Larger numbers would make the table given to the child too long. */
const HIGHEST = 4096;

export function findStrayDescriptors(): StrayDescriptor[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => fd > 2 && fd <= HIGHEST)
    .flatMap((fd) => {
      try {
        const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? '0';
        const stats = fstatSync(fd);
        const isPassedOn = (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
        return isPassedOn && (stats.isFIFO() || stats.isSocket())
          ? [{ fd, what: readlinkSync(`/proc/self/fd/${fd}`) }]
          : [];
      } catch {
        return []; // the descriptor by which the directory was read
      }
    });
}

/** A child's table of descriptors in which /dev/null stands for each stray one. `first` are those from 0 on. */
export class ChildDescriptors<T> implements Disposable {
  readonly stdio: (T | number | 'ignore')[];
  readonly #nothing: number | undefined;

  constructor(first: readonly T[], stray: readonly StrayDescriptor[]) {
    const behind = stray.filter(({ fd }) => fd >= first.length);
    const highest = Math.max(first.length - 1, ...behind.map(({ fd }) => fd));
    // Beyond the third, `ignore` leaves a descriptor to the child as it is.
    this.stdio = Array.from({ length: highest + 1 }, (_, fd) => first[fd] ?? 'ignore');
    this.#nothing = behind.length === 0 ? undefined : openSync('/dev/null', 'r+');
    if (this.#nothing !== undefined) for (const { fd } of behind) this.stdio[fd] = this.#nothing;
  }

  [Symbol.dispose](): void {
    if (this.#nothing !== undefined) closeSync(this.#nothing);
  }
}
