/** The two kinds of store for tests that must hold for both. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, openSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { openStore } from '../../lib/store/index.ts';
import type {
  CheckpointRecord,
  CheckpointSummary,
  Claim,
  FileEntry,
  OperationOptions,
  Store,
  StoredCheckpoint,
  StoreOptions,
} from '../../lib/store/types.ts';
import { setWorkerLocator } from '../../lib/util/worker-url.ts';
import { ChirpServer, hasChirpServer } from '../support/chirp-server.ts';

export const RECORD: CheckpointRecord = {
  identity: { argv: ['xz', '-6'], executable: 'ab'.repeat(32), inputs: { in: 'cd'.repeat(32) } },
  provider: 'userspace',
  host: 'node1',
  scratch: '/scratch/1',
  cwd: '/scratch/1',
  reason: 'periodic',
  runtimeMs: 1234.5,
  engine: { stopUs: 1000, snapshot: 'fork' },
};

export interface Backend {
  readonly url: string;
  /** Where the store's content lies on this machine. */
  readonly root: string;
}

/** Starts the store's threads from bundles, as a single executable does: ten times faster than through the loader for TypeScript. */
export function bundleWorkers(): void {
  const bundles = new Map(
    ['write', 'read'].map((name) => {
      const entry = fileURLToPath(new URL(`../../lib/store/${name}-worker.ts`, import.meta.url));
      const { outputFiles } = buildSync({
        entryPoints: [entry],
        bundle: true,
        platform: 'node',
        format: 'cjs',
        write: false,
        define: { 'import.meta.url': JSON.stringify(new URL('../../lib/native/load.ts', import.meta.url).href) },
      });
      return [`store-${name}`, outputFiles[0]?.text ?? ''];
    }),
  );
  setWorkerLocator((name) => ({ entry: bundles.get(name) ?? '', options: { eval: true } }));
}

export const KEY: Uint8Array = createHash('sha256').update('a key of the tests').digest();

/** Runs on a directory and on a real Chirp server. */
export const BACKENDS: readonly { readonly name: string; start(context: TestContext): Promise<Backend> }[] = [
  {
    name: 'directory',
    start: async (context) => {
      const root = temporaryDirectory(context);
      return { url: `file://${root}`, root };
    },
  },
  {
    name: 'chirp',
    start: async (context) => {
      const server = await ChirpServer.start();
      context.after(() => server.stop());
      return { url: `chirp://${server.host}:${server.port}/store`, root: join(server.root, 'store') };
    },
  },
];

export const NO_CHIRP: string | false = hasChirpServer() ? false : 'chirp_server is not installed';

export function skipReason(name: string): string | false {
  return name === 'chirp' ? NO_CHIRP : false;
}

export function temporaryDirectory(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'store-test-'));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A store that is closed at the end of the test. */
export async function open(context: TestContext, url: string, options: StoreOptions = {}): Promise<Store> {
  const store = await openStore(url, options);
  context.after(() => store.close());
  return store;
}

/** Read end of a pipe into which another process writes these bytes. */
export function pipeFrom(
  context: TestContext,
  bytes: Uint8Array,
): { readonly fd: number; readonly writer: ChildProcess } {
  const fifo = join(temporaryDirectory(context), 'fifo');
  execFileSync('mkfifo', [fifo]);
  const writer = spawn('sh', ['-c', `exec cat > ${fifo}`], { stdio: ['pipe', 'ignore', 'ignore'] });
  writer.stdin?.on('error', () => undefined);
  writer.stdin?.end(bytes);
  context.after(() => writer.kill('SIGKILL'));
  return { fd: openSync(fifo, 'r'), writer };
}

export interface WriteExtras {
  readonly files?: readonly FileEntry[];
  readonly complete?: Promise<unknown>;
  readonly options?: OperationOptions;
}

export async function write(
  context: TestContext,
  claim: Claim,
  stream: Uint8Array,
  { files = [], complete = Promise.resolve(), options = {} }: WriteExtras = {},
): Promise<CheckpointSummary> {
  const { fd } = pipeFrom(context, stream);
  return await claim.write({ contextFd: fd, complete, files: async () => files, record: () => RECORD }, options);
}

/** The context as another process reads it from a pipe. */
export async function readBack(
  context: TestContext,
  stored: StoredCheckpoint,
  options?: OperationOptions,
): Promise<Buffer> {
  const fifo = join(temporaryDirectory(context), 'fifo');
  execFileSync('mkfifo', [fifo]);
  const reader = spawn('cat', [fifo], { stdio: ['ignore', 'pipe', 'ignore'] });
  const chunks: Buffer[] = [];
  reader.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise((resolve) => reader.once('close', resolve));
  const fd = openSync(fifo, 'w');
  try {
    await stored.writeContext(fd, options);
  } finally {
    await ended;
  }
  return Buffer.concat(chunks);
}

/** Paths of the job's objects on this machine whose names begin like this. */
export function objects(root: string, prefix: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => (path.split('/').at(-1) ?? '').startsWith(prefix))
    .sort()
    .map((path) => join(root, path));
}

/** Descriptors of this process that lead to pipes, FIFOs or into this directory: what the store opens, and not what the test runner loads. */
export function openDescriptors(directory: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(directory) || target.startsWith('pipe:') ? [`${fd} ${target}`] : [];
    } catch {
      return [];
    }
  });
}
