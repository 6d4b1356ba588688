/**
 * Makes dist/blcr_wrapper, one file that runs where neither Node.js nor this package is installed: a static launcher in front of the running
 * node binary with the bundled program inside (a Node single-executable application), the addon, libcr.so.0 and blcr-keeper, all compressed.
 * Does nothing when none of its inputs changed.
 * Usage: build-wrapper.mjs [--small]      --small: compress as well as possible; takes a minute
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { isInstalled, root, run, withBuildLock } from './tools.mjs';

const output = join(root, 'dist', 'blcr_wrapper');
const stage = join(root, 'build', 'wrapper');
const stamp = join(root, 'build', 'stamps', 'wrapper');
const isSmall = process.argv.includes('--small');

/** Levels of zstd. Unpacking is as fast for each. */
const LEVEL = isSmall ? 19 : 9;

/** Those of every wrapper's Node. */
const [, NODE_OPTIONS] = /BLCR_NODE_OPTIONS "(.*)"/.exec(
  readFileSync(join(root, 'native/starter/node_options.h'), 'utf8'),
);

/** Marks where Node looks for its blob. Source: Node.js documentation, Single executable applications. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

const nativeParts = [
  { name: 'addon', file: 'build/Release/node_blcr.node', strip: '--strip-unneeded' },
  { name: 'libcr.so.0', file: 'build/native/libcr.so.0', strip: '--strip-unneeded' },
  { name: 'hold', file: 'build/native/blcr-hold.so', strip: '--strip-unneeded' },
  { name: 'blcr-keeper', file: 'build/native/blcr-keeper', strip: '--strip-all' },
];

function filesBelow(directory) {
  return readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

function fingerprint() {
  const hash = createHash('sha256');
  const own = [
    'package.json',
    'package-lock.json',
    'scripts/build-wrapper.mjs',
    ...nativeParts.map(({ file }) => file),
  ];
  const files = [
    ...own.map((name) => join(root, name)),
    ...filesBelow('lib'),
    ...filesBelow('native/launcher'),
    ...filesBelow('native/starter'),
  ];
  for (const file of files.sort()) hash.update(`${file.slice(root.length)}\0`).update(readFileSync(file));
  return hash.update(`${process.version} ${statSync(process.execPath).size} ${LEVEL}`).digest('hex');
}

function isCurrent(wanted) {
  return existsSync(output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
}

function buildLauncher() {
  const directory = join(root, 'build', 'launcher');
  if (!existsSync('/usr/include/zstd.h'))
    throw new Error('zstd.h and libzstd.a are needed for the single executable (Debian: apt-get install libzstd-dev)');
  const settings = ['-S', join(root, 'native', 'launcher'), '-B', directory];
  run('cmake', settings, { stdio: ['ignore', 'ignore', 'inherit'] });
  run('cmake', ['--build', directory, '--parallel', '2']);
  return {
    launcher: join(directory, 'blcr-launcher'),
    pack: join(directory, 'blcr-pack'),
  };
}

/** CommonJS texts: the entry, and one for each worker thread. */
async function bundleScripts(version) {
  const { build } = await import('esbuild');
  const entries = {
    main: 'lib/cli/executable.ts',
    'store-write': 'lib/store/write-worker.ts',
    'store-read': 'lib/store/read-worker.ts',
  };
  await build({
    absWorkingDir: root,
    entryPoints: entries,
    outdir: stage,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    supported: { 'dynamic-import': false }, // a single executable can import nothing, only require what is built in
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'warning',
    // Files are looked for beside the source in a checkout and in the package only; here there are none.
    define: {
      'import.meta.url': '"file:///blcr_wrapper/lib/bundle.js"',
      'import.meta.resolve': 'undefined',
      BUNDLED_VERSION: JSON.stringify(version),
    },
  });
  return Object.keys(entries).filter((name) => name !== 'main');
}

/** The blob that Node finds inside its own executable. */
function makeBlob(workers) {
  const config = join(stage, 'sea.json');
  const blob = join(stage, 'sea.blob');
  const assets = Object.fromEntries(workers.map((name) => [`${name}.js`, join(stage, `${name}.js`)]));
  const settings = {
    main: join(stage, 'main.js'),
    output: blob,
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
  };
  writeFileSync(config, JSON.stringify({ ...settings, assets }));
  const env = { ...process.env, NODE_OPTIONS }; // the code cache is valid for these only
  run(process.execPath, ['--experimental-sea-config', config], { stdio: 'ignore', env });
  return readFileSync(blob);
}

async function makeNode(blob) {
  const node = join(stage, 'node');
  copyFileSync(process.execPath, node);
  chmodSync(node, 0o755);
  run('strip', [node]); // before the blob is there: strip would not keep it
  const { inject } = createRequire(import.meta.url)('postject');
  const { warn } = console;
  console.warn = () => undefined; // one line for every note that strip has left without a name
  await inject(node, 'NODE_SEA_BLOB', blob, { sentinelFuse: FUSE });
  console.warn = warn;
  return node;
}

function stripParts() {
  return nativeParts.map(({ name, file, strip }) => {
    const copy = join(stage, name);
    copyFileSync(join(root, file), copy);
    run('strip', [strip, copy]);
    return `${name}=${copy}`;
  });
}

async function build() {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error('the single executable exists for Linux on x86_64 only');
  for (const program of ['cmake', 'strip'])
    if (!isInstalled(program)) throw new Error(`${program} is needed (Debian: apt-get install cmake binutils)`);
  for (const script of ['build-native.mjs', 'build-addon.mjs'])
    run(process.execPath, [join(root, 'scripts', script)], { stdio: ['ignore', 'ignore', 'inherit'] });
  const wanted = fingerprint();
  if (isCurrent(wanted)) return;
  mkdirSync(stage, { recursive: true });
  const { launcher, pack } = buildLauncher();
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const node = await makeNode(makeBlob(await bundleScripts(version)));
  const made = join(stage, 'blcr_wrapper');
  run(pack, [launcher, made, String(LEVEL), ...stripParts(), `node=${node}`]);
  mkdirSync(join(root, 'dist'), { recursive: true });
  renameSync(made, output); // whoever runs the old one keeps it
  mkdirSync(join(root, 'build', 'stamps'), { recursive: true });
  writeFileSync(stamp, wanted);
  process.stdout.write(
    `dist/blcr_wrapper: ${(statSync(output).size / 1e6).toFixed(1)} MB, unpacked ${(statSync(node).size / 1e6).toFixed(1)} MB\n`,
  );
}

withBuildLock('wrapper', async () => {
  try {
    await build();
  } catch (error) {
    process.stderr.write(`build-wrapper: ${error.message}\n`);
    process.exitCode = 1;
  }
});
