/** ChirpClient: one connection at a time, made when needed, remade when lost. */

import type { Writable } from 'node:stream';
import type { Run } from './commands/command.ts';
import { type ChirpFile, openFile } from './file.ts';
import { Link } from './link.ts';
import { makeDirectories } from './mkdirp.ts';
import { ChirpOperations } from './operations.ts';
import { getBuffer, getTo } from './transfer/get.ts';
import { put } from './transfer/put.ts';
import type {
  ChirpClientOptions,
  ChirpIdentity,
  ChirpPath,
  DescriptorRange,
  GetBufferOptions,
  PutOptions,
  PutSource,
  RequestOptions,
  TransferOptions,
} from './types.ts';

/**
 * A client of one Chirp server. Connects on first use (or `connect()`), logs in with the configured methods, pipelines concurrent requests over one connection,
 * reconnects and retries what is idempotent. An idle client keeps its login alive without keeping the process alive.
 *
 * A file transfer occupies the connection: use several clients (`ChirpPool`) to move files in parallel.
 *
 * @example
 * await using client = new ChirpClient({ host: 'localhost', auth: ['hostname'] });
 * await client.mkdirp('/results');
 * await client.putFile('/results/a.bin', [Buffer.from('hello')]);
 * console.log((await client.getBuffer('/results/a.bin')).toString());
 */
export class ChirpClient extends ChirpOperations implements AsyncDisposable {
  readonly host: string;
  readonly port: number;
  protected override readonly run: Run;
  readonly #link: Link;

  /** Checks the options (UsageError); nothing is connected yet. */
  constructor(options: ChirpClientOptions) {
    super({ allowReserved: options.allowReserved ?? false });
    this.#link = new Link(options);
    this.run = (command, requestOptions) => this.#link.run(command, requestOptions);
    this.host = this.#link.host;
    this.port = this.#link.port;
  }

  /** Connects and logs in now instead of at the first request. Idempotent; concurrent calls share one attempt. */
  async connect(options?: RequestOptions): Promise<ChirpIdentity> {
    return this.#link.connect(options);
  }

  /** Whether a logged-in connection exists at this moment. */
  get isConnected(): boolean {
    return this.#link.isConnected;
  }

  /** Who the server took us for; undefined before the first login. */
  get identity(): ChirpIdentity | undefined {
    return this.#link.identity;
  }

  /** Ends the connection after the outstanding operations and refuses new ones (`ERR_CHIRP_CLOSED`). Idempotent, never throws. */
  close(): Promise<void> {
    return this.#link.close();
  }

  /** Drops the connection at once; outstanding requests fail with `ERR_CHIRP_CLOSED`. */
  destroy(): void {
    this.#link.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Makes a directory and its missing ancestors; existing ones are fine. CHIRP_NOT_DIRECTORY when a file is in the way.
   * @param mode Permission bits of new directories, default 0o755.
   */
  async mkdirp(path: ChirpPath, mode: number = 0o755, options?: RequestOptions): Promise<void> {
    return this.#link.compound(() => makeDirectories(this, path, mode, options));
  }

  /**
   * Opens a file for reading and writing at offsets.
   * @param flags Letters: r read, w write, c create, t truncate, a append, x exclusive, s synchronous; e.g. `r`, `wct`, `rw`.
   * @param mode Permission bits of a new file, default 0o644 (the server removes group and other).
   */
  async open(path: ChirpPath, flags: string, mode: number = 0o644, options?: RequestOptions): Promise<ChirpFile> {
    return openFile(this.#link, path, flags, mode, this.rules, options);
  }

  /**
   * Uploads a whole file; resolves with its length in bytes. By default atomically (temporary name, rename). On failure or abort the temporary file is removed as far as
   * the server can be reached, and an existing file of that name is untouched; with `atomic: false` the server deletes it.
   * Retried after lost connections when the source can be read again. Buffers must not be changed until the promise settles.
   * @throws {ChirpError} CHIRP_NO_SPACE, CHIRP_NOT_AUTHORIZED, …; after a refused body the connection is dropped.
   * @throws {UsageError} ERR_CHIRP_SOURCE_LENGTH when the source holds more or less than `size` bytes, ERR_CHIRP_SIZE_UNKNOWN for a stream without `size`.
   */
  putFile(path: ChirpPath, source: PutSource, options: PutOptions = {}): Promise<number> {
    return this.#link.compound(() =>
      put({ link: this.#link, operations: this, rules: this.rules }, path, source, options),
    );
  }

  /** Downloads a whole file into memory. ERR_CHIRP_TOO_LARGE above `maxBytes` (default 1 GiB). Retried after lost connections. */
  getBuffer(path: ChirpPath, options: GetBufferOptions = {}): Promise<Buffer> {
    return getBuffer(this.#link, path, this.rules, options);
  }

  /**
   * Downloads a whole file into a stream (with back-pressure; not ended) or a descriptor; resolves with the number of bytes. Retried after lost
   * connections only into a descriptor with a position, because a stream cannot take back what it has got.
   * A file that shrinks on the server while it is sent ends in ETIMEDOUT after the stall time-out.
   */
  getFile(path: ChirpPath, target: Writable | DescriptorRange, options: TransferOptions = {}): Promise<number> {
    return getTo(this.#link, path, target, this.rules, options);
  }
}
