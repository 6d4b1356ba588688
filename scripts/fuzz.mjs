/**
 * Fuzzes the parsers for longer than the tests do, from another starting point each time.
 * Usage: fuzz.mjs [--seconds N] [target…]      --seconds: for each target, default 60; target: proc, image, stream … (default all)
 */
import { randomInt } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root, run } from './tools.mjs';

const { values, positionals } = parseArgs({
  options: { seconds: { type: 'string', default: '60' } },
  allowPositionals: true,
});
run(process.execPath, [join(root, 'scripts/build-native.mjs'), '--sanitize']);
const directory = join(root, 'build/native-asan');
const all = readdirSync(directory).filter((name) => name.endsWith('_fuzz'));
const wanted = positionals.length === 0 ? all : positionals.map((name) => `${name}_fuzz`);
for (const name of wanted)
  run(join(directory, name), ['--seconds', values.seconds, '--seed', String(randomInt(2 ** 47))]);
