/** What a virtual machine is started with; the machines themselves are too slow for this suite: `scripts/with-kernel`. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CpioArchive } from '../support/vm/cpio.ts';

test('archives are what busybox, like the kernel, unpacks', (t) => {
  if (!existsSync('/bin/busybox')) return t.skip('busybox-static is not installed');
  const directory = mkdtempSync(join(tmpdir(), 'cpio-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const archive = new CpioArchive().directory('a').file('a/odd', 'abc', 0o755).file('empty', '').end();
  execFileSync('/bin/busybox', ['cpio', '-idm'], { cwd: directory, input: archive, stdio: ['pipe', 'pipe', 'pipe'] });
  assert.deepEqual(readdirSync(directory, { recursive: true }).sort(), ['a', 'a/odd', 'empty']);
  assert.equal(readFileSync(join(directory, 'a/odd'), 'utf8'), 'abc');
});

test('wrong arguments start nothing', () => {
  const script = fileURLToPath(new URL('../../scripts/with-kernel', import.meta.url));
  for (const args of [[], ['2.6', '--', 'true'], ['6.1', '--memory', 'much', '--', 'true'], ['6.1']]) {
    const { status, stderr } = spawnSync(script, args, { encoding: 'utf8' });
    assert.equal(status, 64, stderr);
    assert.match(stderr, /usage: with-kernel/);
  }
});
