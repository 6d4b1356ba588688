/**
 * One checkpoint's manifest.
 *
 *     manifest := 'BLCRMANI' version:u32 headerLength:u32 header rows recipes sha256[32]      little endian
 *
 * header is JSON (facts, packs, files, lengths of what follows), rows the unit table, recipes the context's recipe and then the files'.
 * The hash covers everything before it. With a key the whole is sealed (cipher.ts). Everything is checked on the way in.
 */
import { createHash } from 'node:crypto';
import { errorMessage } from '../util/error-facts.ts';
import { MAX_PIECE } from './frames.ts';
import { asArray, asCount, asObject, asOptional, asString, type Json } from './guards.ts';
import { isPackName, type ManifestName } from './names.ts';
import { toFileEntry, toFinished, toRecord } from './records.ts';
import { corrupt, newerVersion } from './store-error.ts';
import type { CheckpointRecord, FileEntry, FinishedRecord } from './types.ts';
import { ROW_BYTES, unitAt } from './unit-table.ts';

const MAGIC: Uint8Array = Buffer.from('BLCRMANI');
const VERSION = 1;
const FIXED = MAGIC.length + 8;
const HASH_LENGTH = 32;
export const MAX_PACK: number = 32 * 1024 * 1024;

export interface PackRef {
  readonly name: string;
  readonly size: number;
}

export interface StoredFile {
  readonly entry: FileEntry;
  readonly recipe: Uint8Array;
}

export interface Manifest {
  readonly jobId: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly created: number;
  readonly contextBytes: number;
  readonly fileBytes: number;
  readonly storedBytes: number;
  /** Present in a checkpoint; in a finished record that of the checkpoint before it, when there was one. */
  readonly record?: CheckpointRecord | undefined;
  /** Present in a finished record. */
  readonly finished?: FinishedRecord | undefined;
  readonly packs: readonly PackRef[];
  readonly rows: Uint8Array;
  readonly context: Uint8Array;
  readonly files: readonly StoredFile[];
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  const { packs, rows, context, files, ...facts } = manifest;
  const header = Buffer.from(
    JSON.stringify({
      ...facts,
      packs: packs.map(({ name, size }) => [name, size]),
      rows: rows.length / ROW_BYTES,
      context: context.length,
      files: files.map(({ entry: { source: _, ...entry }, recipe }) => ({ ...entry, recipe: recipe.length })),
    }),
  );
  const fixed = Buffer.alloc(FIXED);
  fixed.set(MAGIC);
  fixed.writeUInt32LE(VERSION, MAGIC.length);
  fixed.writeUInt32LE(header.length, MAGIC.length + 4);
  const parts = [fixed, header, rows, context, ...files.map((file) => file.recipe)];
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return Buffer.concat([...parts, hash.digest()]);
}

/**
 * @param path For messages.
 * @param name What the manifest's name says; its content must agree.
 * @throws {StoreError} ERR_STORE_CORRUPT, or ERR_STORE_VERSION for a newer format.
 */
export function decodeManifest(bytes: Uint8Array, path: string, jobId: string, name: ManifestName): Manifest {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (data.length < FIXED + HASH_LENGTH || Buffer.compare(data.subarray(0, MAGIC.length), MAGIC) !== 0) {
    throw corrupt(path, 'it is not a manifest');
  }
  const body = data.subarray(0, data.length - HASH_LENGTH);
  if (!createHash('sha256').update(body).digest().equals(data.subarray(body.length))) {
    throw corrupt(path, 'its hash does not match');
  }
  const version = data.readUInt32LE(MAGIC.length);
  if (version !== VERSION) throw newerVersion(path, version);
  try {
    const manifest = parse(body);
    checkName(manifest, jobId, name);
    checkRows(manifest);
    return manifest;
  } catch (error) {
    throw corrupt(path, errorMessage(error), error);
  }
}

function parse(body: Buffer): Manifest {
  const headerEnd = FIXED + body.readUInt32LE(MAGIC.length + 4);
  if (headerEnd > body.length) throw new RangeError('the header is longer than the manifest');
  const json = asObject(JSON.parse(body.toString('utf8', FIXED, headerEnd)), 'header');
  let at = headerEnd;
  const take = (length: number): Uint8Array => {
    if (length > body.length - at) throw new RangeError('a part is longer than the manifest');
    at += length;
    return body.subarray(at - length, at);
  };
  const rows = take(asCount(json['rows'], 'rows', 2 ** 31) * ROW_BYTES);
  const context = take(asCount(json['context'], 'context'));
  const files = asArray(json['files'], 'files').map((file) => ({
    entry: toFileEntry(file),
    recipe: take(asCount(asObject(file, 'file')['recipe'], 'recipe')),
  }));
  if (at !== body.length) throw new RangeError('bytes are left over');
  return { ...parseFacts(json), packs: asArray(json['packs'], 'packs').map(toPack), rows, context, files };
}

function parseFacts(json: Json): Omit<Manifest, 'packs' | 'rows' | 'context' | 'files'> {
  return {
    jobId: asString(json['jobId'], 'jobId'),
    epoch: asCount(json['epoch'], 'epoch'),
    sequence: asCount(json['sequence'], 'sequence'),
    created: asCount(json['created'], 'created'),
    contextBytes: asCount(json['contextBytes'], 'contextBytes'),
    fileBytes: asCount(json['fileBytes'], 'fileBytes'),
    storedBytes: asCount(json['storedBytes'], 'storedBytes'),
    record: asOptional(json['record'], toRecord),
    finished: asOptional(json['finished'], toFinished),
  };
}

function toPack(value: unknown): PackRef {
  const [name, size] = asArray(value, 'pack');
  const text = asString(name, 'pack name');
  if (!isPackName(text)) throw new RangeError(`${JSON.stringify(text)} is not the name of a pack`);
  return { name: text, size: asCount(size, 'pack size', MAX_PACK) };
}

function checkName(manifest: Manifest, jobId: string, name: ManifestName): void {
  const isFinished = manifest.finished !== undefined;
  const isKind = name.kind === 'checkpoint' ? !isFinished && manifest.record !== undefined : isFinished;
  if (manifest.jobId !== jobId || manifest.epoch !== name.epoch || manifest.sequence !== name.sequence || !isKind) {
    throw new RangeError('it belongs to another job or checkpoint');
  }
}

function checkRows({ rows, packs }: Manifest): void {
  const count = rows.length / ROW_BYTES;
  for (let row = 0; row < count; row++) {
    const unit = unitAt(rows, row);
    const pack = packs[unit.pack];
    if (pack === undefined || unit.offset + unit.stored > pack.size || unit.raw > MAX_PIECE || unit.stored === 0) {
      throw new RangeError(`unit ${row} lies outside its pack`);
    }
  }
}
