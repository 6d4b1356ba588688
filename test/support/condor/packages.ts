/**
 * HTCondor without installing it: Debian packages of a release that has it, unpacked into a directory and made to use the libraries that come
 * with them. Nothing outside of that directory is touched, no privilege is needed.
 */

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { chmod, cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectories, isWritable, Release } from '../debian/packages.ts';

const run = promisify(execFile);

const SUITE = 'trixie';
const ELF = Buffer.from('\x7fELF');
const OWN_LIBRARIES = /^lib(condor|classad|getpwnam).*\.so/;
const LOADER = 'ld-linux-x86-64.so.2';
/** condor, what its programs are linked to, and the tool that makes them find it. Its other dependencies are opened at run time, if ever. */
const PACKAGES = [
  ...['condor', 'libc6', 'libgcc-s1', 'libgomp1', 'libpcre2-8-0', 'libssl3t64', 'libstdc++6', 'libuuid1', 'libzstd1'],
  ...['zlib1g', 'patchelf'],
];
/** Changes whenever what this file makes does. */
const RECIPE = `1 ${SUITE}`;
/** A set-up that takes longer is not worth the wait in a test. */
const LIMIT_MS = 55_000;

export class CondorUnavailable extends Error {}

/**
 * The directory with bin/, sbin/, libexec/ and lib/ of HTCondor; made when it is not there (about six seconds and 16 MB of downloads), below
 * .cache/ of this checkout or, when that may not be written, of the user.
 * @throws {CondorUnavailable} saying why there is none.
 */
export async function obtainCondor(): Promise<string> {
  const candidates = cacheDirectories().map((directory) => join(directory, `htcondor-${SUITE}`));
  const ready = candidates.find(isReady);
  if (ready !== undefined) return ready;
  const prefix = candidates.find((path) => isWritable(join(path, '..')));
  if (prefix === undefined) throw new CondorUnavailable('no cache directory can be written');
  const work = await mkdtemp(join(tmpdir(), 'condor-get-'));
  try {
    await make(prefix, work);
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string };
    throw new CondorUnavailable(
      `HTCondor's packages of ${SUITE} cannot be had here: ${stderr.trim().split('\n')[0] || message}`,
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return prefix;
}

const stampOf = (prefix: string): string => `${RECIPE} ${prefix}\n`;

/** The programs name their loader by its absolute path: a prefix that was moved is useless. */
function isReady(prefix: string): boolean {
  try {
    return readFileSync(join(prefix, 'stamp'), 'utf8') === stampOf(prefix);
  } catch {
    return false;
  }
}

async function make(prefix: string, work: string): Promise<void> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  const root = join(work, 'root');
  await using release = await Release.open(SUITE, signal);
  await release.unpack(PACKAGES, root);
  const made = await mkdtemp(`${prefix}.`);
  try {
    await chmod(made, 0o755);
    await arrange(root, made);
    await adapt(made, prefix, signal);
    await writeFile(join(made, 'stamp'), stampOf(prefix));
    if (!isReady(prefix)) {
      await rm(prefix, { recursive: true, force: true });
      await rename(made, prefix);
    }
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

/** From Debian's places into one short tree. */
async function arrange(root: string, made: string): Promise<void> {
  const libraries = join(root, 'usr/lib/x86_64-linux-gnu');
  const copy = async (from: string, to: string, is: (name: string) => boolean): Promise<void> => {
    mkdirSync(join(made, to), { recursive: true });
    for (const name of await readdir(from))
      if (is(name)) await cp(join(from, name), join(made, to, name), { recursive: true, verbatimSymlinks: true });
  };
  await copy(join(root, 'usr/bin'), 'bin', (name) => name.includes('condor'));
  await copy(join(root, 'usr/bin'), 'tools', (name) => name === 'patchelf');
  await copy(join(root, 'usr/sbin'), 'sbin', (name) => name.includes('condor'));
  await copy(join(root, 'usr/libexec/condor'), 'libexec', () => true);
  await copy(libraries, 'lib', (name) => name.includes('.so'));
  for (const directory of [join(root, 'usr/lib'), join(root, 'usr/lib/condor')])
    if (existsSync(directory)) await copy(directory, 'lib', (name) => OWN_LIBRARIES.test(name));
}

/** Every program gets the loader and the libraries of its own release. */
async function adapt(made: string, prefix: string, signal: AbortSignal): Promise<void> {
  const libraries = join(made, 'lib');
  const patchelf = async (...args: string[]): Promise<void> => {
    const tool = ['--library-path', libraries, join(made, 'tools/patchelf'), ...args];
    await run(join(libraries, LOADER), tool, { signal });
  };
  for (const directory of ['bin', 'sbin', 'libexec']) {
    const programs = await elfFiles(join(made, directory), (head) => head.includes(`/${LOADER}`));
    const settings = ['--set-interpreter', join(prefix, 'lib', LOADER), '--set-rpath', '$ORIGIN/../lib'];
    if (programs.length > 0) await patchelf(...settings, ...programs);
  }
  const shared = (await elfFiles(libraries)).filter((path) => OWN_LIBRARIES.test(basename(path)));
  await patchelf('--set-rpath', '$ORIGIN', ...shared);
}

/** @param is Gets the first page, which holds the name of a program's loader; a static program has none. */
async function elfFiles(directory: string, is: (head: Buffer) => boolean = () => true): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (!entry.isFile()) continue;
    const head = (await readFile(path)).subarray(0, 4096);
    if (head.subarray(0, 4).equals(ELF) && is(head)) found.push(path);
  }
  return found;
}
