/** Debian's own kernels, of its last three releases, for virtual machines. */

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { obtainCached } from '../debian/cached.ts';
import { PackagesUnavailable, Release } from '../debian/packages.ts';

const run = promisify(execFile);

const SUITES = { '5.10': 'bullseye', '6.1': 'bookworm', '6.12': 'trixie' } as const;
/** The whole download is about 100 MB. */
const LIMIT_MS = 300_000;

export type KernelVersion = keyof typeof SUITES;
export const KERNEL_VERSIONS = Object.keys(SUITES) as KernelVersion[];

export interface Kernel {
  /** The bootable image. */
  readonly image: string;
  /** Content of modules, those that others need before them. */
  modules(names: readonly string[]): Promise<{ name: string; content: Buffer }[]>;
}

/**
 * The kernel, downloaded when it is not there, below .cache/ of this checkout or of the user.
 * @throws {PackagesUnavailable} saying why there is none.
 */
export async function obtainKernel(version: KernelVersion): Promise<Kernel> {
  const prefix = await obtainCached(`linux-${version}`, async (directory) => {
    await using release = await Release.open(SUITES[version], AbortSignal.timeout(LIMIT_MS));
    const name = (await release.dependencies('linux-image-amd64')).find((one) => one.startsWith('linux-image-'));
    if (name === undefined) throw new PackagesUnavailable(`${SUITES[version]} has no kernel`);
    await release.unpack([name], directory);
  });
  return await open(prefix);
}

async function open(prefix: string): Promise<Kernel> {
  const image = (await readdir(join(prefix, 'boot'))).find((name) => name.startsWith('vmlinuz'));
  if (image === undefined) throw new PackagesUnavailable(`${prefix} holds no kernel: remove it`);
  return { image: join(prefix, 'boot', image), modules: async (names) => await loadModules(prefix, names) };
}

async function loadModules(prefix: string, names: readonly string[]): Promise<{ name: string; content: Buffer }[]> {
  const root =
    [join(prefix, 'lib/modules'), join(prefix, 'usr/lib/modules')].find((path) => existsSync(path)) ?? prefix;
  const paths = new Map<string, string>();
  for (const path of await readdir(root, { recursive: true }))
    if (/\.ko(\.xz)?$/.test(path)) paths.set(moduleName(basename(path)), join(root, path));
  const loaded = new Map<string, Buffer>();
  const visit = async (name: string): Promise<void> => {
    const path = paths.get(moduleName(name));
    if (path === undefined || loaded.has(name)) return; // built in, or there already
    const content = await moduleContent(path);
    for (const needed of dependenciesOf(content)) await visit(needed);
    loaded.set(name, content);
  };
  for (const name of names) await visit(name);
  return [...loaded].map(([name, content]) => ({ name, content }));
}

const moduleName = (file: string): string => file.replace(/\.ko(\.xz)?$/, '').replaceAll('-', '_');

async function moduleContent(path: string): Promise<Buffer> {
  if (!path.endsWith('.xz')) return await readFile(path);
  return (await run('xz', ['-dc', path], { encoding: 'buffer', maxBuffer: 1 << 27 })).stdout;
}

/** From section .modinfo: `depends=a,b`. */
function dependenciesOf(module: Buffer): string[] {
  const text = module.toString('latin1').match(/\0depends=([^\0]*)\0/)?.[1] ?? '';
  return text.split(',').filter((name) => name !== '');
}
