/** The JSON parts of a manifest: shape checks on the way back in. */
import { asArray, asCount, asNumber, asObject, asOneOf, asOptional, asString, type Json } from './guards.ts';
import type { CheckpointRecord, FileEntry, FinishedRecord, JobIdentity } from './types.ts';

function toIdentity(value: unknown): JobIdentity {
  const json = asObject(value, 'identity');
  const inputs: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [path, hash] of Object.entries(asObject(json['inputs'], 'inputs')))
    inputs[path] = asString(hash, 'input hash');
  return {
    argv: asArray(json['argv'], 'argv').map((argument) => asString(argument, 'argument')),
    executable: asString(json['executable'], 'executable'),
    inputs: { ...inputs },
  };
}

function toEngine(value: unknown): Readonly<Record<string, number | string>> {
  const engine: Record<string, number | string> = {};
  for (const [name, fact] of Object.entries(asObject(value, 'engine'))) {
    engine[name] = typeof fact === 'string' ? fact : asNumber(fact, 'engine fact');
  }
  return engine;
}

const toPaths = (value: unknown): readonly string[] => asArray(value, 'paths').map((path) => asString(path, 'path'));

export function toRecord(value: unknown): CheckpointRecord {
  const json = asObject(value, 'record');
  const engine = asOptional(json['engine'], toEngine);
  const earlierScratch = asOptional(json['earlierScratch'], toPaths);
  return {
    identity: toIdentity(json['identity']),
    provider: asOneOf(json['provider'], 'provider', ['userspace', 'blcr']),
    host: asString(json['host'], 'host'),
    scratch: asString(json['scratch'], 'scratch'),
    ...(earlierScratch === undefined ? {} : { earlierScratch }),
    cwd: asString(json['cwd'], 'cwd'),
    reason: asOneOf(json['reason'], 'reason', ['first', 'periodic', 'request', 'vacate']),
    runtimeMs: asNumber(json['runtimeMs'], 'runtimeMs'),
    ...(engine === undefined ? {} : { engine }),
  };
}

export function toFinished(value: unknown): FinishedRecord {
  const json = asObject(value, 'finished');
  return {
    exitCode: asOptional(json['exitCode'], (code) => asCount(code, 'exitCode', 0xffff)),
    signal: asOptional(json['signal'], (signal) => asString(signal, 'signal')),
    finished: asNumber(json['finished'], 'finished'),
    scratch: asString(json['scratch'], 'scratch'),
  };
}

/** True for a relative path that stays below its directory. */
export function isSafePath(path: string): boolean {
  if (path === '' || path.startsWith('/') || path.includes('\0')) return false;
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

export function toFileEntry(value: unknown): FileEntry {
  const json: Json = asObject(value, 'file');
  const role = asOneOf(json['role'], 'role', ['scratch', 'stdout', 'stderr']);
  const path = asString(json['path'], 'path');
  if (!isSafePath(path)) throw new RangeError(`file path ${JSON.stringify(path)} leaves the directory`);
  const kind = asOneOf(json['kind'], 'kind', ['file', 'directory', 'symlink']);
  const linkTarget = asOptional(json['linkTarget'], (target) => asString(target, 'linkTarget'));
  if ((kind === 'symlink') !== (linkTarget !== undefined)) throw new RangeError('linkTarget does not fit the kind');
  const mtimeNs = asString(json['mtimeNs'], 'mtimeNs');
  if (!/^-?\d{1,30}$/.test(mtimeNs)) throw new RangeError('mtimeNs is not a number');
  return {
    path,
    role,
    kind,
    mode: asCount(json['mode'], 'mode', 0o7777777),
    size: asCount(json['size'], 'size'),
    mtimeNs,
    inode: asCount(json['inode'], 'inode'),
    ...(linkTarget === undefined ? {} : { linkTarget }),
  };
}

/** Facts for a job that ended without any checkpoint. */
export function unknownRecord(scratch: string): CheckpointRecord {
  const identity = { argv: [], executable: '', inputs: {} };
  return { identity, provider: 'userspace', host: '', scratch, cwd: scratch, reason: 'vacate', runtimeMs: 0 };
}
