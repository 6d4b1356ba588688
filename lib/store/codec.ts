/** Compression of single units. The number is written to the manifest with each unit: never reuse one. */
import zlib from 'node:zlib';
import { badArgument } from './store-error.ts';

export type CodecName = 'none' | 'deflate-raw' | 'brotli' | 'zstd';

interface Codec {
  readonly id: number;
  readonly compress: (data: Uint8Array) => Uint8Array;
  /** Fails when the content is longer than `limit` bytes. */
  readonly decompress: (data: Uint8Array, limit: number) => Uint8Array;
}

/** zstd is part of node:zlib from Node 22.15 on; @types/node 20 does not know it. */
interface ZstdModule {
  readonly zstdCompressSync?: (data: Uint8Array) => Uint8Array;
  readonly zstdDecompressSync?: (data: Uint8Array, options: { readonly maxOutputLength: number }) => Uint8Array;
}

const BROTLI_FAST = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 0 } };

const CODECS: Readonly<Record<CodecName, Codec | undefined>> = {
  none: { id: 0, compress: (data) => data, decompress: (data) => data },
  'deflate-raw': {
    id: 1,
    compress: (data) => zlib.deflateRawSync(data, { level: 1 }),
    decompress: (data, limit) => zlib.inflateRawSync(data, { maxOutputLength: limit }),
  },
  brotli: {
    id: 2,
    compress: (data) => zlib.brotliCompressSync(data, BROTLI_FAST),
    decompress: (data, limit) => zlib.brotliDecompressSync(data, { maxOutputLength: limit }),
  },
  zstd: zstd(zlib as ZstdModule),
};

function zstd({ zstdCompressSync, zstdDecompressSync }: ZstdModule): Codec | undefined {
  if (zstdCompressSync === undefined || zstdDecompressSync === undefined) return undefined;
  return {
    id: 3,
    compress: (data) => zstdCompressSync(data),
    decompress: (data, limit) => zstdDecompressSync(data, { maxOutputLength: limit }),
  };
}

/** @throws {StoreError} ERR_STORE_ARGUMENT when this Node has no such codec. */
export function codecNamed(name: CodecName): CodecName {
  if (CODECS[name] === undefined) throw badArgument(`codec ${name} is not available in Node ${process.versions.node}`);
  return name;
}

export interface Compressed {
  readonly codec: number;
  readonly data: Uint8Array;
}

/** Compresses, or hands the data back as it is when that does not save anything. */
export function compress(name: CodecName, data: Uint8Array): Compressed {
  const codec = CODECS[name];
  if (codec === undefined || codec.id === 0) return { codec: 0, data };
  const smaller = codec.compress(data);
  return smaller.length < data.length ? { codec: codec.id, data: smaller } : { codec: 0, data };
}

/**
 * @param raw Length that the content must have.
 * @throws {Error} For an unknown codec, undecodable data or another length.
 */
export function decompress(id: number, data: Uint8Array, raw: number): Uint8Array {
  const codec = Object.values(CODECS).find((candidate) => candidate?.id === id);
  if (codec === undefined) throw new Error(id === 3 ? 'zstd needs Node 22.15 or newer' : `unknown codec ${id}`);
  const content = codec.decompress(data, Math.max(raw, 1));
  if (content.length !== raw) throw new Error(`${content.length} bytes instead of ${raw}`);
  return content;
}
