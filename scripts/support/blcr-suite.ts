/** The suite of test/blcr, as a directory that a machine without anything of ours can run. */
import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

/** What a machine needs of the checkout: the built package and its run-time dependencies. */
const PARTS = [
  'package.json',
  'dist',
  'build/Release/node_blcr.node',
  'build/native/libcr.so.0',
  'build/native/libcr.so',
  'build/native/blcr-keeper',
  'build/native/cr_run',
  'build/native/cr_checkpoint',
  'build/native/cr_restart',
  'native/include',
  'node_modules/bindings',
  'node_modules/file-uri-to-path',
];

/** The tests import the package by its name, as users do. */
export async function stageSuite(root: string, share: string): Promise<void> {
  const target = join(share, 'node-blcr');
  const LARGE = join(root, 'dist/blcr_wrapper'); // has a Node of its own inside
  for (const part of PARTS) {
    if (!existsSync(join(root, part))) continue;
    mkdirSync(join(target, part, '..'), { recursive: true });
    const options = { recursive: true, verbatimSymlinks: true, filter: (path: string) => path !== LARGE };
    cpSync(join(root, part), join(target, part), options);
  }
  const sources = join(root, 'test/blcr');
  cpSync(join(sources, 'programs'), join(target, 'suite/programs'), { recursive: true });
  cpSync(join(root, 'test/native/conformance.c'), join(target, 'suite/programs/conformance.c'));
  const names = readdirSync(sources).filter((name) => name.endsWith('.ts'));
  await build({
    entryPoints: names.map((name) => join(sources, name)),
    outdir: join(target, 'suite'),
    outExtension: { '.js': '.mjs' },
    ...{ bundle: true, packages: 'external', platform: 'node', format: 'esm', target: 'node20', logLevel: 'warning' },
  });
}

/**
 * The suite as a shell command. It runs from a copy in the machine's own temporary directory: the share may be slow, read-only or noexec. Many
 * descriptors are needed for one of the tests.
 * @param expect The kind of libcr that must be found. Our own cr_run comes first in PATH where ours is wanted, BLCR's where that is.
 * @param share Where the machine sees the directory that was staged.
 * @param parts Names separated by commas; default all. The machine does not see this process's environment.
 */
export function suiteCommand(
  expect: 'blcr' | 'userspace',
  share: string = '/share',
  parts: string = 'conformance,requests,refusals,jobs',
): string {
  // Whoever starts commands in machines may leave them a short PATH.
  const usual = '$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const tools = expect === 'userspace' ? `PATH=$here/build/native:${usual}` : `PATH=${usual}`;
  return [
    'ulimit -n 4096',
    `here=$(mktemp -d) && cp -R ${share}/node-blcr/. "$here" && cd "$here" || exit 1`,
    `${tools}; export PATH BLCR_EXPECT=${expect}`,
    `node suite/run.mjs ${parts}; status=$?`,
    'cd / && rm -rf "$here"',
    'exit $status',
  ].join('; ');
}
