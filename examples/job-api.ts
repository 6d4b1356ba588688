/**
 * A job that is checkpointed every second, evicted in the middle, and goes on: here in one process, in real life on two machines.
 *
 *     node examples/job-api.ts          (Node 22.18 or later; with Node 20: node --import tsx examples/job-api.ts)
 */

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Job } from 'node-blcr';

const directory = mkdtempSync(join(tmpdir(), 'job-api-'));
const output = openSync(join(directory, 'output'), 'a');

const options = {
  id: 'example',
  store: `file://${directory}/store`,
  command: '/bin/sh',
  args: ['-c', 'i=1; while [ $i -le 30 ]; do echo line $i; i=$((i+1)); sleep 0.1; done'],
  every: '1s',
  first: '500ms',
  scratch: directory,
  stdio: ['ignore', output, 'inherit'],
} as const;

async function run(evictAfterMs?: number): Promise<string> {
  await using job = await Job.open({
    ...options,
    onEvent: (event) => {
      if (event.event === 'started') console.log(event.resumedFrom === undefined ? 'started' : 'resumed');
    },
  });
  job.on('checkpoint', ({ sequence, stopUs, storedBytes }) =>
    console.log(
      `checkpoint ${sequence}: stood still for ${(stopUs / 1000).toFixed(1)} ms, ${storedBytes} bytes stored`,
    ),
  );
  job.on('warning', ({ code, message }) => console.log(`warning ${code}: ${message}`));
  if (evictAfterMs !== undefined) {
    await delay(evictAfterMs);
    await job.vacate({ deadlineMs: 20_000 });
  }
  const { reason, exitCode } = await job.done;
  return exitCode === undefined ? reason : `${reason} ${exitCode}`;
}

try {
  console.log(await run(1500));
  console.log(await run());
  const lines = readFileSync(join(directory, 'output'), 'utf8').trim().split('\n');
  const isComplete = lines.every((line, index) => line === `line ${index + 1}`) && lines.length === 30;
  console.log(isComplete ? 'the output is complete' : 'the output is NOT complete');
  process.exitCode = isComplete ? 0 : 1;
} finally {
  closeSync(output);
  rmSync(directory, { recursive: true, force: true });
}
