/**
 * As whom tests run. Root runs everything as root and, once more, what a batch user does as an ordinary user without any capability: being
 * rootless is the point of the package, and root must not break it.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Identity {
  readonly label: string;
  /** Put before a command. */
  readonly prefix: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** A directory this identity may write to; removed by the caller of makeIdentities. */
  readonly directory: string;
}

export interface Identities {
  readonly own: Identity;
  /** Undefined when the tests do not run as root, or when no ordinary user can read the checkout (`obstacle` says why). */
  readonly user: Identity | undefined;
  readonly obstacle: string | undefined;
}

const ORDINARY_USER = 1000;

function environment(directory: string): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...rest } = process.env;
  return { ...rest, TMPDIR: directory };
}

/** Mounts the checkout where the user can reach it, in a mount namespace of the command alone. */
function mountedAt(root: string, place: string): readonly string[] {
  const script = 'mount --bind "$1" "$2" && cd "$2" && shift 2 && exec "$@"';
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', root, place];
}

function makeUser(root: string, base: string): Pick<Identities, 'user' | 'obstacle'> {
  const owner = statSync(root).uid;
  const uid = owner === 0 ? ORDINARY_USER : owner;
  const directory = join(base, 'user');
  const place = join(base, 'checkout');
  for (const path of [directory, place]) mkdirSync(path);
  chownSync(directory, uid, uid);
  const become = [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${uid}`,
    '--clear-groups',
    '--inh-caps=-all',
    '--ambient-caps=-all',
  ];
  const env = { ...environment(directory), HOME: directory, USER: `uid${uid}`, LOGNAME: `uid${uid}` };
  for (const prefix of [become, [...mountedAt(root, place), ...become]]) {
    const [program = '', ...args] = [
      ...prefix,
      process.execPath,
      '--import',
      'tsx',
      '-e',
      'require("node:fs").realpathSync("."); require("./package.json")',
    ];
    if (spawnSync(program, args, { cwd: root, env, stdio: 'ignore' }).status === 0) {
      return { user: { label: `as uid ${uid}`, prefix, env, directory }, obstacle: undefined };
    }
  }
  return { user: undefined, obstacle: `uid ${uid} cannot read the checkout ${root}` };
}

/** Makes the identities and their directories below a new temporary directory, `base`. */
export function makeIdentities(root: string): Identities & { readonly base: string } {
  const base = mkdtempSync(join(tmpdir(), 'node-blcr-test-'));
  chmodSync(base, 0o755);
  const directory = join(base, 'own');
  mkdirSync(directory);
  // As open as /tmp: tests that give up their rights keep TMPDIR.
  chmodSync(directory, 0o1777);
  const isRoot = process.getuid?.() === 0;
  const own = {
    label: isRoot ? 'as root' : `as uid ${process.getuid?.()}`,
    prefix: [],
    env: environment(directory),
    directory,
  };
  return { own, base, ...(isRoot ? makeUser(root, base) : { user: undefined, obstacle: undefined }) };
}
