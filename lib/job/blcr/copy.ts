/** One entry of a tree, copied to another one. */
import { constants, copyFile, mkdir, readlink, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TreeFile } from '../tree.ts';

/** Copies (or clones, where the file system can) what `file` names below `from` to the same path below `to`; what is there gives way. */
export async function copyEntry({ kind, path, mode }: TreeFile, from: string, to: string): Promise<void> {
  const [source, target] = [join(from, path), join(to, path)];
  await mkdir(dirname(target), { recursive: true });
  if (kind === 'directory') {
    await mkdir(target, { recursive: true, mode });
    return;
  }
  await rm(target, { recursive: true, force: true });
  if (kind === 'symlink') await symlink(await readlink(source), target);
  else await copyFile(source, target, constants.COPYFILE_FICLONE);
}
