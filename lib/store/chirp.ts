/** A directory on a Chirp server as storage. */

import type { AuthMethod, ChirpClient, ChirpClientOptions, ChirpIdentity } from '../chirp/index.ts';
import { ChirpAuthError, ChirpConnectionError, ChirpError, type StoreError } from '../errors.ts';
import { ChirpAccess } from './chirp-access.ts';
import type { Driver, DriverOptions, Entry, PutOptions } from './driver.ts';
import { badUrl, corrupt, denied, failed, full, isStoreError, notFound, occupied, unreachable } from './store-error.ts';
import type { StoreOptions } from './types.ts';

const DEFAULT_STALL_MS = 30_000;
const METHODS: readonly AuthMethod[] = ['ticket', 'hostname', 'unix', 'address'];

/** The server's words as the store's. */
const CODES: Readonly<Record<string, (what: string, cause: { path: string; cause: unknown }) => StoreError>> = {
  CHIRP_NOT_AUTHENTICATED: denied,
  CHIRP_NOT_AUTHORIZED: denied,
  CHIRP_DOES_NOT_EXIST: notFound,
  CHIRP_NOT_DIRECTORY: notFound,
  CHIRP_ALREADY_EXISTS: occupied,
  CHIRP_NOT_EMPTY: occupied,
  CHIRP_NO_SPACE: full,
};

/**
 * Prepares a driver for `chirp://host[:port]/path`; nothing is connected yet.
 * @throws {StoreError} ERR_STORE_URL.
 */
export function openChirpDriver(url: string, options: StoreOptions): ChirpDriver {
  const parsed = new URL(url);
  if (parsed.hostname === '') throw badUrl(url, 'the host is missing');
  if (parsed.username !== '' || parsed.search !== '' || parsed.hash !== '')
    throw badUrl(url, 'only host, port and path may be given');
  const auth = options.auth?.map((method) => {
    const known = METHODS.find((candidate) => candidate === method);
    if (known === undefined)
      throw badUrl(url, `authentication ${JSON.stringify(method)} is not one of ${METHODS.join(', ')}`);
    return known;
  });
  const client: ChirpClientOptions = {
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    ...(parsed.port === '' ? {} : { port: Number(parsed.port) }),
    ...(auth === undefined ? {} : { auth }),
    ...(options.ticket === undefined ? {} : { tickets: [options.ticket] }),
    stallTimeoutMs: options.stallTimeoutMs ?? DEFAULT_STALL_MS,
  };
  return new ChirpDriver(url, decodeURIComponent(parsed.pathname).replace(/\/+$/, ''), client);
}

export class ChirpDriver implements Driver {
  readonly url: string;
  readonly isLocal: boolean;
  readonly #root: string;
  readonly #access: ChirpAccess;

  /** @param root Path on the server without a slash at the end; empty for its top. */
  constructor(url: string, root: string, client: ChirpClientOptions) {
    this.url = url;
    this.isLocal = /^(localhost|127\..*|::1)$/.test(client.host);
    this.#root = root;
    this.#access = new ChirpAccess(client, root, this.isLocal);
  }

  async prepare(options: DriverOptions = {}): Promise<void> {
    this.#access.reconsider();
    // Looked at first: who may use the root need not have rights above it. "Not authorized" may mean that another job is making it right now.
    if (this.#root === '' || (await this.#exists(options))) return;
    await this.#use('', options, (client, request) => client.mkdirp(this.#root, 0o700, request));
  }

  async put(path: string, data: Uint8Array, options: PutOptions = {}): Promise<void> {
    await this.#upload(path, data, options, { atomic: true });
  }

  /** The free space is not asked for: what does not fit is refused at its end, and no older object of that name can be lost. */
  async add(path: string, data: Uint8Array, options: PutOptions = {}): Promise<void> {
    await this.#upload(path, data, options, { atomic: false, checkSpace: false });
  }

  async #upload(
    path: string,
    data: Uint8Array,
    options: PutOptions,
    how: { readonly atomic: boolean; readonly checkSpace?: boolean },
  ): Promise<void> {
    let reported = 0;
    const onProgress = ({ bytes }: { readonly bytes: number }): void => {
      options.onBytes?.(bytes - reported);
      reported = bytes;
    };
    const { rate, signal } = options;
    await this.#use(path, options, (client, request) => {
      const source = rate === undefined ? data : rate.pace(data, signal);
      return client.putFile(this.#at(path), source, { ...request, ...how, size: data.length, sync: true, onProgress });
    });
  }

  async get(path: string, offset: number, length: number, options: DriverOptions = {}): Promise<Uint8Array> {
    const data = await this.#use(path, options, async (client, request) => {
      const file = await client.open(this.#at(path), 'r', 0, request);
      try {
        return await file.pread(length, offset, request);
      } finally {
        await file.close();
      }
    });
    if (data.length < length) throw corrupt(path, `it ends at ${offset + data.length}, before ${offset + length}`);
    // Callers may hand the buffer to another thread: it must not be shared with anything.
    return data.buffer.byteLength === data.length ? data : new Uint8Array(data);
  }

  async stat(path: string, options: DriverOptions = {}): Promise<Entry | undefined> {
    try {
      const found = await this.#use(path, options, (client, request) => client.stat(this.#at(path), request));
      const name = path.slice(path.lastIndexOf('/') + 1);
      return { name, isDirectory: found.type === 'directory', size: found.size, modified: found.mtime * 1000 };
    } catch (error) {
      return await this.#missing(path, error, options);
    }
  }

  async list(path: string, options: DriverOptions = {}): Promise<readonly Entry[] | undefined> {
    try {
      const entries = await this.#use(path, options, (client, request) => client.getlongdir(this.#at(path), request));
      return entries
        .filter(({ name }) => name !== '.' && name !== '..')
        .map(({ name, stat }) => ({
          name,
          isDirectory: stat.type === 'directory',
          size: stat.size,
          modified: stat.mtime * 1000,
        }));
    } catch (error) {
      // A directory that is gone has no access list either: the server then says "not authorized".
      if (isStoreError(error, 'DENIED') && (await this.stat(path, options)) !== undefined) throw error;
      return await this.#missing(path, error, options);
    }
  }

  async rename(from: string, to: string, options: DriverOptions = {}): Promise<void> {
    await this.#use(from, options, (client, request) => client.rename(this.#at(from), this.#at(to), request));
  }

  async mkdir(path: string, options: DriverOptions = {}): Promise<boolean> {
    try {
      await this.#use(path, options, (client, request) => client.mkdir(this.#at(path), 0o700, request));
      return true;
    } catch (error) {
      if (isStoreError(error, 'EXISTS')) return false;
      throw error;
    }
  }

  async remove(path: string, options: DriverOptions = {}): Promise<boolean> {
    try {
      await this.#use(path, options, (client, request) => client.unlink(this.#at(path), request));
      return true;
    } catch (error) {
      if (isStoreError(error, 'NOT_FOUND')) return false;
      throw error;
    }
  }

  async removeTree(path: string, options: DriverOptions = {}): Promise<void> {
    try {
      await this.#use(path, options, (client, request) => client.rmall(this.#at(path), request));
    } catch (error) {
      if (!isStoreError(error, 'NOT_FOUND')) throw error;
    }
  }

  async close(): Promise<void> {
    await this.#access.close();
  }

  async #exists(options: DriverOptions): Promise<boolean> {
    try {
      return (await this.stat('', options)) !== undefined;
    } catch (error) {
      if (isStoreError(error, 'DENIED')) return false;
      throw error;
    }
  }

  #at(path: string): string {
    return path === '' ? this.#root || '/' : `${this.#root}/${path}`;
  }

  /** undefined when the error means that there is nothing at this path. Below a missing directory the server answers "not authorized". */
  async #missing(path: string, error: unknown, options: DriverOptions): Promise<undefined> {
    if (isStoreError(error, 'NOT_FOUND')) return undefined;
    const isTop = path === '' || !isStoreError(error, 'DENIED');
    if (isTop) throw error;
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    if ((await this.stat(parent, options)) !== undefined) throw error;
    return undefined;
  }

  async #use<T>(
    path: string,
    { signal }: DriverOptions,
    work: (client: ChirpClient, request: { readonly signal?: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    let identity: ChirpIdentity | undefined;
    try {
      const pool = await this.#access.pool(signal);
      return await pool.use(async (client) => {
        try {
          return await work(client, signal === undefined ? {} : { signal });
        } finally {
          identity = client.identity;
        }
      }, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#translate(path, error, identity);
    }
  }

  #translate(path: string, cause: unknown, identity: ChirpIdentity | undefined): unknown {
    const what = `${this.url}: ${path === '' ? 'root' : path}`;
    if (cause instanceof ChirpConnectionError) return unreachable(`${what} (${cause.message})`, { path, cause });
    if (cause instanceof ChirpAuthError) return denied(`${what} (${cause.message})`, { path, cause });
    if (!(cause instanceof ChirpError)) return cause;
    const make = CODES[cause.code] ?? (cause.retriable ? unreachable : failed);
    if (make === denied && identity !== undefined) {
      const { method, name } = identity;
      return denied(`${what} (${cause.message}, being ${method}:${name} for the server)`, { path, cause });
    }
    return make(`${what} (${cause.message})`, { path, cause });
  }
}
