/** Packages of any release of Debian, downloaded without touching this machine's own package lists; and where such things are kept. */

import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

export class PackagesUnavailable extends Error {}

/** Directories for what is expensive to get: .cache/ of this checkout, then the user's own. */
export function cacheDirectories(): string[] {
  const checkout = fileURLToPath(new URL('../../../.cache', import.meta.url));
  const own = resolve(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'node-blcr');
  return [checkout, own];
}

/** True when new entries can be made in `directory`, which is made if need be. */
export function isWritable(directory: string): boolean {
  try {
    mkdirSync(directory, { recursive: true });
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** An apt of its own, which knows only one release, from the mirror that this machine uses anyway. */
export class Release implements AsyncDisposable {
  readonly #work: string;
  readonly #options: readonly string[];
  readonly #signal: AbortSignal;

  private constructor(work: string, options: readonly string[], signal: AbortSignal) {
    this.#work = work;
    this.#options = options;
    this.#signal = signal;
  }

  /**
   * @param suite `bookworm`, `trixie`, …
   * @throws {PackagesUnavailable} when this is no Debian on amd64, or its mirror does not have the suite.
   */
  static async open(suite: string, signal: AbortSignal): Promise<Release> {
    if (process.platform !== 'linux' || process.arch !== 'x64')
      throw new PackagesUnavailable('packages are fetched for Linux on amd64 only');
    if (!existsSync('/usr/bin/apt-get') || !existsSync(KEYRING))
      throw new PackagesUnavailable('this is not a Debian: no apt-get or no archive keys');
    const work = await mkdtemp(join(tmpdir(), 'debian-get-'));
    for (const path of ['etc/preferences.d', 'lists/partial', 'cache/archives/partial', 'debs'])
      mkdirSync(join(work, path), { recursive: true });
    const release = new Release(work, aptOptions(work), signal);
    try {
      await writeFile(join(work, 'status'), '');
      const { stdout } = await run('apt-get', ['indextargets', '--format', '$(REPO_URI)'], { signal });
      const mirror = stdout.split('\n').find((uri) => /\/debian\/?$/.test(uri)) ?? 'http://deb.debian.org/debian/';
      await writeFile(join(work, 'sources.list'), `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`);
      await release.#apt('apt-get', ['-qq', '-o', 'APT::Update::Error-Mode=any', 'update']);
      return release;
    } catch (error) {
      await release[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The packages that `name` depends on directly. */
  async dependencies(name: string): Promise<string[]> {
    const text = await this.#apt('apt-cache', ['depends', name]);
    return [...text.matchAll(/Depends: (\S+)/g)].map(([, dependency]) => dependency ?? '');
  }

  /** `names` and all that they need, as apt would install them into an empty system. */
  async closure(names: readonly string[]): Promise<string[]> {
    const text = await this.#apt('apt-get', ['-qq', '--simulate', '--no-install-recommends', 'install', ...names]);
    return [...text.matchAll(/^Inst (\S+)/gm)].map(([, name]) => name ?? '');
  }

  /** Downloads and unpacks; no script of a package runs. */
  async unpack(names: readonly string[], into: string): Promise<void> {
    const debs = await mkdtemp(join(this.#work, 'debs/'));
    await this.#apt('apt-get', ['-qq', 'download', ...names], debs);
    for (const archive of await readdir(debs))
      await run('dpkg-deb', ['-x', join(debs, archive), into], { signal: this.#signal });
    await rm(debs, { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#work, { recursive: true, force: true });
  }

  async #apt(program: string, args: readonly string[], cwd = this.#work): Promise<string> {
    try {
      const { stdout } = await run(program, [...this.#options, ...args], {
        signal: this.#signal,
        cwd,
        maxBuffer: 1 << 26,
      });
      return stdout;
    } catch (error) {
      const { stderr = '', message } = error as Error & { stderr?: string };
      throw new PackagesUnavailable(stderr.trim().split('\n')[0] || message);
    }
  }
}

function aptOptions(work: string): string[] {
  const settings = {
    'Dir::Etc': join(work, 'etc'),
    'Dir::Etc::sourcelist': join(work, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State': work,
    'Dir::State::lists': join(work, 'lists'),
    'Dir::State::status': join(work, 'status'),
    'Dir::Cache': join(work, 'cache'),
    'APT::Sandbox::User': '',
    'Acquire::Languages': 'none',
    'Acquire::http::Timeout': '10',
    'Debug::NoLocking': '1',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}
