/** A job of this system's programs goes on in another release of Debian, which has other ones under the same names. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { obtainRoot } from '../../support/debian/root.ts';
import { ended, NATIVE, Workshop } from './tools.ts';

const SUITE = 'trixie';
const JOB = `
sum=0
echo begun
while [ ! -e go ]; do sum=$((sum + 1)); sleep 0.05; done
while read -r line; do case $line in VERSION_ID=*) echo "in $line" ;; esac; done < /etc/os-release
[ $sum -gt 0 ] && echo 'and it goes on'
`;

/** Why this test does not run; it downloads about 30 MB. */
function reasonToSkip(): string | undefined {
  if (process.env['BLCR_TEST_USERLAND'] !== '1')
    return 'set BLCR_TEST_USERLAND=1: it unpacks another release of Debian';
  return process.getuid?.() === 0 ? undefined : 'only root can bind this system into another root here';
}

async function checkpointHere(t: TestContext, flags: readonly string[]): Promise<Workshop> {
  const shop = new Workshop();
  t.after(() => shop.clean());
  writeFileSync(shop.path('job'), JOB);
  const job = shop.start('cr_run', ['/bin/bash', 'job'], 'out');
  await shop.waitForLines('out', 1);
  await shop.checkpoint(job, 'context', '--tree', '--kill', ...flags);
  await ended(job);
  writeFileSync(shop.path('go'), '');
  return shop;
}

/** With mounts of its own: the other root, with /proc, /dev, the scratch directory and what was built. */
function restartThere(root: string, shop: Workshop): { status: number | null; text: string } {
  const shared = ['/proc', '/dev', shop.directory, resolve(NATIVE)];
  for (const path of shared) mkdirSync(join(root, path), { recursive: true });
  const script = `for path in ${shared.join(' ')}; do mount --rbind $path ${root}$path || exit 99; done
cd ${shop.directory} && exec chroot ${root} ${resolve(NATIVE, 'cr_restart')} --kmsg-warning -f ${shop.path('context')} >> out 2> err`;
  const { status } = spawnSync('unshare', ['--mount', 'sh', '-c', script], { stdio: 'ignore', timeout: 60_000 });
  return { status, text: shop.read('err') };
}

test('libraries and program come with the context', async (t) => {
  const reason = reasonToSkip();
  if (reason !== undefined) return t.skip(reason);
  const root = await obtainRoot(SUITE);
  const shop = await checkpointHere(t, ['--save-all']);
  const { status, text } = restartThere(root, shop);
  assert.equal(status, 0, text);
  assert.match(text, /libc\.so\.6 .*the one that came with the context is used/);
  assert.equal(shop.read('out'), 'begun\nin VERSION_ID="13"\nand it goes on\n');
});

test('without them the other ones are refused by name', async (t) => {
  const reason = reasonToSkip();
  if (reason !== undefined) return t.skip(reason);
  const root = await obtainRoot(SUITE);
  const shop = await checkpointHere(t, []);
  const { status, text } = restartThere(root, shop);
  assert.notEqual(status, 0);
  assert.match(text, /mapped file \/usr\/bin\/bash has \d+ bytes here/);
});
