/** What the userspace engine does inside the stop (crx.h, capture), done from outside while the job is stopped. */
import { constants, copyFile, lstat, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CaptureOptions } from '../../checkpoint/types.ts';
import { formatIndex, isSameFile, parseBaseline, type TreeFile, walkTree } from '../tree.ts';
import { copyEntry } from './copy.ts';

/**
 * Copies what is new or changed against the baseline into `into`, and the extra files beside it, and writes the index.
 * @throws the file system's error: better no checkpoint than one without its files.
 */
export async function copyCaptured(
  capture: CaptureOptions,
): Promise<{ readonly files: number; readonly bytes: number }> {
  const { root, into, baseline, extra = [] } = capture;
  const { files, apart } = parseBaseline(baseline === undefined ? '' : await readFile(baseline, 'utf8'));
  const known = new Map(files.map((file) => [file.path, file]));
  const index: TreeFile[] = [];
  let bytes = 0;
  for (const file of await walkTree(root, apart)) {
    const copied = !isSameFile(known.get(file.path), file);
    index.push({ ...file, copied });
    if (!copied) continue;
    await copyEntry(file, root, into);
    if (file.kind === 'file') bytes += file.size;
  }
  for (const [number, path] of extra.entries()) {
    await copyFile(path, join(into, `.extra-${number}`), constants.COPYFILE_FICLONE);
    bytes += (await lstat(path)).size;
  }
  await writeFile(join(into, '.index'), formatIndex(index));
  return { files: index.filter(({ copied }) => copied).length + extra.length, bytes };
}
