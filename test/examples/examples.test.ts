/** The examples do what they say, importing the package as its users do. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ChirpServer, hasChirpServer } from '../support/chirp-server.ts';

const root = new URL('../../', import.meta.url);
const isBuilt = existsSync(new URL('dist/index.js', root));
const hasKeeper = existsSync(new URL('build/native/blcr-keeper', root));
const unbuilt = isBuilt ? false : 'dist is not built (npm run build:ts)';
const unable = unbuilt === false && !hasKeeper ? 'the native parts are not built (npm run build:native)' : unbuilt;
const timeout = 60_000;

async function runExample(name: string, ...args: string[]): Promise<string[]> {
  const entry = fileURLToPath(new URL(`examples/${name}`, root));
  const options = { timeout, killSignal: 'SIGKILL' } as const;
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', entry, ...args], {
    ...options,
    cwd: fileURLToPath(root),
  });
  return stdout.trim().split('\n');
}

test('job-api: evicted and resumed, the output complete', { skip: unable, timeout }, async () => {
  const lines = await runExample('job-api.ts');
  const told = lines.filter((line) => !/^(checkpoint|warning ERR_JOB_LIMITED)/.test(line));
  assert.deepEqual(told, ['started', 'vacated', 'resumed', 'exited 0', 'the output is complete']);
  assert.ok(lines.some((line) => /^checkpoint \d+: stood still for [\d.]+ ms/.test(line)));
});

test('low-level: checkpointed, killed, restarted', { skip: unable, timeout }, async () => {
  const lines = await runExample('low-level.ts');
  assert.deepEqual(lines.slice(-1), ['exit code 20']);
  assert.ok(lines.includes('killed'));
});

test('self: a computation saves itself, is killed, and goes on', { skip: unable, timeout }, async () => {
  const lines = await runExample('self.ts');
  const told = lines.filter((line) => line !== 'continued'); // it may be killed before it says so
  const rounds = ['round 1: 1', 'round 2: 5', 'round 3: 14', 'killed', 'restarted', 'round 4: 30', 'round 5: 55'];
  assert.deepEqual(told, [...rounds, 'round 6: 91']);
});

const noServer = hasChirpServer() ? unbuilt : 'chirp_server is not installed (coop-computing-tools)';
test('chirp-files: there and back', { skip: noServer, timeout }, async () => {
  await using server = await ChirpServer.start();
  const lines = await runExample('chirp-files.ts', server.host, String(server.port));
  assert.deepEqual(lines.slice(1), [
    'lines-1.txt: 8890 bytes',
    'came back as it was',
    'a missing file is CHIRP_DOES_NOT_EXIST',
  ]);
});
