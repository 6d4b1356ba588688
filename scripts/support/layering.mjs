/**
 * The borders between the rooms (ARCHITECTURE.md), as rules over the source text: who may import whom, who may load native code, how long a
 * file may be. Used by scripts/lint.mjs and test/repo/layering.test.ts.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** What each room of lib/ may import besides itself. A room that is not listed is a violation: decide where it stands first. */
const MAY_IMPORT = {
  errors: [],
  util: ['errors'],
  chirp: ['errors', 'util'],
  native: ['errors', 'util'],
  schedule: ['errors', 'util'],
  store: ['errors', 'util', 'chirp', 'native'],
  checkpoint: ['errors', 'util', 'native'],
  condor: ['errors', 'util'],
  job: ['errors', 'util', 'native', 'schedule', 'store', 'checkpoint', 'condor'],
  index: ['errors', 'util', 'chirp', 'native', 'schedule', 'store', 'checkpoint', 'job', 'condor'],
  cli: ['errors', 'util', 'chirp', 'native', 'schedule', 'store', 'checkpoint', 'condor', 'job', 'index'],
};

/** Headers that a native room must not include, with the reason. */
const FORBIDDEN_INCLUDES = [
  { room: 'native/engine', pattern: /(libcr|crx)\.h$/, reason: 'the engine does not know the C ABI' },
  { room: 'native/engine', pattern: /(node_api|napi|node|uv|v8)\.h$/, reason: 'the engine does not know Node' },
  { room: 'native/keeper', pattern: /(node_api|napi|node|uv|v8)\.h$/, reason: 'the keeper does not know Node' },
  { room: 'native/libcr', pattern: /(node_api|napi|node|uv|v8)\.h$/, reason: 'libcr does not know Node' },
  {
    room: 'native/addon',
    pattern: /^(base|proc|trace|arch|image|dump|restore|keeper)\//,
    reason: 'the addon knows only libcr.h and crx.h',
  },
];

const LIMITS = [
  { pattern: /^(test|bench)\/.*\.ts$/, lines: 400 },
  { pattern: /\.(ts|mjs)$/, lines: 250 },
  { pattern: /\.(cc|h|c)$/, lines: 400 },
];

/** Files that may be longer than the rule, each with its reason. */
export const LONG_FILES = {};

const NATIVE_LOADER = 'lib/native/load.ts';
const SOURCE = /\.(ts|mjs|cc|h|c)$/;

function sources(root) {
  const rooms = ['lib', 'native', 'test', 'bench', 'scripts', 'examples'].filter((room) =>
    existsSync(join(root, room)),
  );
  return rooms.flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && SOURCE.test(entry.name))
      .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name))),
  );
}

function roomOf(path) {
  return path.split('/')[1].replace(/\.ts$/, '');
}

function importsOf(text) {
  return [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]);
}

function* importViolations(path, text) {
  const room = roomOf(path);
  const allowed = MAY_IMPORT[room];
  if (allowed === undefined) {
    yield `${path}: room "${room}" has no place in scripts/support/layering.mjs`;
    return;
  }
  for (const specifier of importsOf(text).filter((name) => name.startsWith('.'))) {
    const target = join(dirname(path), specifier);
    if (!target.startsWith('lib/')) {
      yield `${path}: imports ${specifier}, which is outside lib/`;
    } else if (roomOf(target) !== room && !allowed.includes(roomOf(target))) {
      yield `${path}: "${room}" must not import "${roomOf(target)}" (${specifier})`;
    }
  }
}

function* nativeViolations(path, text) {
  if (path === NATIVE_LOADER) return;
  if (importsOf(text).includes('bindings') || /process\.dlopen|\.node['"`]/.test(text)) {
    yield `${path}: only ${NATIVE_LOADER} loads a .node file`;
  }
}

function* includeViolations(path, text) {
  for (const [, header] of text.matchAll(/^\s*#\s*include\s*[<"]([^>"]+)[>"]/gm)) {
    for (const rule of FORBIDDEN_INCLUDES) {
      if (path.startsWith(`${rule.room}/`) && rule.pattern.test(header))
        yield `${path}: includes ${header}: ${rule.reason}`;
    }
  }
}

function* lengthViolations(path, text) {
  const limit = LIMITS.find(({ pattern }) => pattern.test(path)).lines;
  const lines = text.split('\n').length - 1;
  if (lines > limit && !Object.hasOwn(LONG_FILES, path)) {
    yield `${path}: ${lines} lines, the limit is ${limit}: split it by noun, or list it in LONG_FILES with a reason`;
  }
}

/**
 * Every broken rule, one line each.
 * @param {string} root the checkout
 * @returns {string[]}
 */
export function findViolations(root) {
  return sources(root).flatMap((path) => {
    const text = readFileSync(join(root, path), 'utf8');
    const isLibrary = path.startsWith('lib/');
    return [
      ...(isLibrary ? importViolations(path, text) : []),
      ...(isLibrary ? nativeViolations(path, text) : []),
      ...includeViolations(path, text),
      ...lengthViolations(path, text),
    ];
  });
}
