/** Downloads. */

import type { Writable } from 'node:stream';
import { getfile, tooLarge } from '../commands/transfer.ts';
import type { Link } from '../link.ts';
import type { ChirpPath, DescriptorRange, GetBufferOptions, TransferOptions } from '../types.ts';
import type { PathRules } from '../wire/path.ts';
import { BufferSink, type ByteSink, DescriptorSink, WritableSink } from './sink.ts';

const DEFAULT_MAX_BYTES = 1024 * 1024 * 1024;

export async function getBuffer(
  link: Link,
  path: ChirpPath,
  rules: PathRules,
  options: GetBufferOptions,
): Promise<Buffer> {
  const limit = options.maxBytes ?? DEFAULT_MAX_BYTES;
  let content: Buffer = Buffer.alloc(0);
  const sinkFor = (size: number): ByteSink => {
    if (size > limit) throw tooLarge(path, size, limit);
    content = Buffer.allocUnsafe(size);
    return watched(new BufferSink(content), size, options);
  };
  await link.perform(
    'getfile',
    (connection, signal) => connection.request(getfile(path, sinkFor, true, rules), signal),
    options,
  );
  return content;
}

export async function getTo(
  link: Link,
  path: ChirpPath,
  target: Writable | DescriptorRange,
  rules: PathRules,
  options: TransferOptions,
): Promise<number> {
  const { make, isRepeatable } = sinksFor(target);
  return await link.perform(
    'getfile',
    async (connection, signal) => {
      const sink = make();
      const command = getfile(path, (size) => watched(sink, size, options), isRepeatable, rules);
      try {
        return await connection.request(command, signal);
      } finally {
        // After a failure a write may still be running: the caller must be free to close its descriptor.
        await sink.settled();
      }
    },
    options,
  );
}

/** A stream cannot take back what it has got, nor can a pipe. Streams of files have a member fd too, file handles a method write: only streams end. */
function sinksFor(target: Writable | DescriptorRange): { make: () => ByteSink; isRepeatable: boolean } {
  if ('end' in target) return { make: () => new WritableSink(target), isRepeatable: false };
  const { fd, position = 0 } = target;
  return { make: () => new DescriptorSink(fd, position), isRepeatable: position !== null };
}

/** Reports progress, if anybody wants it. */
function watched(sink: ByteSink, total: number, options: TransferOptions): ByteSink {
  const { onProgress } = options;
  if (onProgress === undefined) return sink;
  let bytes = 0;
  return {
    write: (piece) => {
      bytes += piece.length;
      const busy = sink.write(piece);
      onProgress({ bytes, total });
      return busy;
    },
    finish: () => sink.finish(),
    settled: () => sink.settled(),
  };
}
