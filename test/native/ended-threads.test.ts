import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Threads that load the addon and are ended at a random moment of it, as those are that compute digests of an upload that is given up. */
const PROGRAM = `
  import { Worker } from 'node:worker_threads';
  const addon = JSON.stringify(process.argv[1]);
  for (let round = 0; round < 100; ++round) {
    await Promise.all([0, 1, 2].map(async () => {
      const worker = new Worker('require(' + addon + ')', { eval: true, execArgv: [] });
      worker.on('error', (error) => console.log(error.message));
      await new Promise((resolve) => worker.once('online', resolve));
      const end = performance.now() + Math.random();
      while (performance.now() < end);
      await worker.terminate();
    }));
  }
  console.log('alive');`;

test('a thread that is ended while it loads the addon does not end the process', { timeout: 60_000 }, () => {
  const addon = fileURLToPath(new URL('../../build/Release/node_blcr.node', import.meta.url));
  const args = ['--input-type=module', '--eval', PROGRAM, addon];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.deepEqual([stdout, stderr], ['alive\n', '']);
});
