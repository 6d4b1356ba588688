/** Builds the package as it is published, and installs it where there is no compiler and no checkout. */
import { execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../lib/native/load.ts';

const require = createRequire(import.meta.url);
const RUNTIME_DEPENDENCIES = ['bindings', 'file-uri-to-path', 'node-addon-api'];
const SOURCES = [
  'bin',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'lib',
  'native',
  'scripts',
  'binding.gyp',
  'README.md',
  'LICENSE',
];

/** The file behind the `npm` command, so that it can be run without a PATH. */
function npmProgram(): string {
  const beside = join(dirname(process.execPath), '../lib/node_modules/npm/bin/npm-cli.js');
  return process.env['npm_execpath'] ?? (existsSync(beside) ? beside : require.resolve('npm/bin/npm-cli.js'));
}

function npm(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = process.env): string {
  return execFileSync(
    process.execPath,
    [npmProgram(), ...args, '--no-audit', '--no-fund', '--loglevel=error', '--no-update-notifier'],
    {
      cwd,
      env,
      encoding: 'utf8',
      timeout: 100_000,
    },
  );
}

/** Packs directories; returns their tarballs in the same order. */
function pack(directories: readonly string[], into: string): readonly string[] {
  const names = npm(['pack', '--ignore-scripts', '--pack-destination', into, ...directories], into)
    .trim()
    .split('\n');
  return names.map((name) => join(into, name));
}

/** A checkout in `work` with dist/ and prebuilds/, packed. Returns the tarball. */
export function packPackage(work: string): string {
  const stage = join(work, 'stage');
  mkdirSync(stage, { recursive: true });
  for (const name of SOURCES) {
    if (existsSync(join(packageRoot, name))) cpSync(join(packageRoot, name), join(stage, name), { recursive: true });
  }
  symlinkSync(join(packageRoot, 'node_modules'), join(stage, 'node_modules'));
  npm(['run', 'build:ts'], stage);
  execFileSync(process.execPath, [join(packageRoot, 'scripts/prebuild.mjs'), '--out', stage], { stdio: 'ignore' });
  return pack([stage], work)[0] ?? '';
}

/** A PATH with nothing but what npm itself needs. */
export function pathWithoutCompiler(work: string): string {
  const directory = join(work, 'bin');
  if (existsSync(directory)) return directory;
  mkdirSync(directory);
  for (const [name, program] of [
    ['node', process.execPath],
    ['sh', '/bin/sh'],
  ] as const) {
    symlinkSync(program, join(directory, name));
  }
  return directory;
}

/** Packs what npm would fetch, from the copies that are installed here: the test needs no registry. */
export function packDependencies(work: string): Readonly<Record<string, string>> {
  const tarballs = pack(
    RUNTIME_DEPENDENCIES.map((name) => join(packageRoot, 'node_modules', name)),
    work,
  );
  return Object.fromEntries(RUNTIME_DEPENDENCIES.map((name, index) => [name, `file:${tarballs[index]}`]));
}

export interface Consumer {
  readonly directory: string;
  readonly npmOutput: string;
  /** Runs an ES module there, with the compiler-less PATH. */
  run(program: string, env?: NodeJS.ProcessEnv, wrapper?: readonly string[]): SpawnSyncReturns<string>;
  /** Runs one of the package's commands, by the name that npm has given it. */
  command(name: string, args: readonly string[], env?: NodeJS.ProcessEnv): SpawnSyncReturns<string>;
}

/** Installs the tarball into a new empty directory. */
export function installInto(
  directory: string,
  tarball: string,
  overrides: Readonly<Record<string, string>>,
  options: readonly string[],
  path: string,
): Consumer {
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o755);
  writeFileSync(
    join(directory, 'package.json'),
    JSON.stringify({ private: true, dependencies: { 'node-blcr': `file:${tarball}` }, overrides }),
  );
  const env = { PATH: path, HOME: directory, npm_config_cache: join(directory, '.npm') };
  const npmOutput = npm(['install', '--offline', ...options], directory, env);
  const settings = { cwd: directory, encoding: 'utf8', timeout: 20_000 } as const;
  const run = (
    program: string,
    extra: NodeJS.ProcessEnv = {},
    wrapper: readonly string[] = [],
  ): SpawnSyncReturns<string> => {
    const [command = process.execPath, ...args] = [...wrapper, process.execPath, '--input-type=module', '-e', program];
    return spawnSync(command, args, { ...settings, env: { ...env, ...extra } });
  };
  const command: Consumer['command'] = (name, args, extra) =>
    spawnSync(join(directory, 'node_modules/.bin', name), args, { ...settings, env: { ...env, ...extra } });
  return { directory, npmOutput, run, command };
}

/** Names of everything the package installed, relative to it. */
export function installedFiles({ directory }: Consumer): readonly string[] {
  return readdirSync(join(directory, 'node_modules/node-blcr'), { recursive: true, encoding: 'utf8' });
}

export function readInstalled({ directory }: Consumer, name: string): string {
  return readFileSync(join(directory, 'node_modules/node-blcr', name), 'utf8');
}

/** What tsc says about these files in the consumer's directory, as strictly as it can: declarations of libraries are checked as well. */
export function compile(consumer: Consumer, files: Readonly<Record<string, string>>): string {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(consumer.directory, name), text);
  const types = ['--types', 'node', '--typeRoots', join(packageRoot, 'node_modules/@types')];
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [
      require.resolve('typescript/bin/tsc'),
      ...['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess'],
      ...['--module', 'nodenext', '--target', 'es2022', '--lib', 'es2022,esnext.disposable', ...types],
      ...Object.keys(files),
    ],
    { cwd: consumer.directory, encoding: 'utf8' },
  );
  return stdout + stderr;
}
