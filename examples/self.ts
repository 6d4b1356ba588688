/**
 * A computation that saves itself: it asks for a checkpoint when its work is at a good point, and knows afterwards which life it is in.
 *
 *     node examples/self.ts        (Node 22.18 or later; with Node 20: node --import tsx examples/self.ts)
 *
 * Started so, it runs itself twice: once until it is killed, and once more from the context that the first run has written. A batch job would be
 * `blcr run … -- node computation.js`, whose checkpointSelf() without a file goes into the job's store.
 */

import { closeSync, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { checkpointSelf, launchProgram, requestRestart } from 'node-blcr';

const ROUNDS = 6;

/** Adds up squares in a worker thread, and saves itself in the middle. */
async function compute(file: string): Promise<void> {
  const worker = new Worker(
    "require('node:worker_threads').parentPort.on('message', function (n) { this.postMessage(n * n); })",
    { eval: true },
  );
  let sum = 0;
  for (let round = 1; round <= ROUNDS; round++) {
    sum += await new Promise<number>((resolve) => worker.once('message', resolve).postMessage(round));
    console.log(`round ${round}: ${sum}`);
    if (round !== ROUNDS / 2) continue;
    const life = await checkpointSelf({ file });
    console.log(life);
    if (life === 'continued') await delay(60_000); // time for something to go wrong
  }
  await worker.terminate();
}

/** Runs the computation, loses it, and brings it back. */
async function loseAndRestart(): Promise<number | undefined> {
  const directory = mkdtempSync(join(tmpdir(), 'self-'));
  const file = join(directory, 'context');
  try {
    const self = fileURLToPath(import.meta.url);
    const first = await launchProgram(process.execPath, { args: [...process.execArgv, self, file] });
    while (!existsSync(file)) await delay(20);
    first.kill();
    await first.exit;
    console.log('killed');
    const from = openSync(file, 'r');
    const { exit } = await requestRestart({ from });
    closeSync(from);
    return (await exit).exitCode;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const [file] = process.argv.slice(2);
if (file === undefined) process.exitCode = await loseAndRestart();
else await compute(file);
