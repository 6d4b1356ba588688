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
  const isDescriptor = 'fd' in target && typeof target.fd === 'number';
  const position = isDescriptor
    ? (target as DescriptorRange).position === undefined
      ? 0
      : ((target as DescriptorRange).position ?? null)
    : null;
  const make = (): ByteSink =>
    isDescriptor ? new DescriptorSink((target as DescriptorRange).fd, position) : new WritableSink(target as Writable);
  return await link.perform(
    'getfile',
    async (connection, signal) => {
      const sink = make();
      const command = getfile(path, (size) => watched(sink, size, options), position !== null, rules);
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
