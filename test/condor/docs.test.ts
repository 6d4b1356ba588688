/** Every command of docs/htcondor.md, in order, in a pool that has the configuration of that page. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CondorBench } from './bench.ts';

const page = readFileSync(new URL('../../docs/htcondor.md', import.meta.url), 'utf8');
const blocksOf = (language: string): string =>
  [...page.matchAll(/^```([\w-]*)\n(.*?)^```$/gms)]
    .filter(([, found]) => found === language)
    .map(([, , text]) => text)
    .join('\n');

/** The page's own way to a pool, and what is not a command but a part of a submit file. */
const TRY = /^scripts\/with-condor .*$/m.exec(blocksOf(''))?.[0] ?? '';
const CLASSIC = /^executable .*?(?=\n\n)/ms.exec(blocksOf(''))?.[0] ?? '';

/** A reader of the page is slower than its commands. */
const UNTIL_CHECKPOINTED = `until [ "$(condor_q -af ChirpBlcrCheckpoints | grep -c '[1-9]')" = 2 ]; do sleep 0.3; done`;
const SIMULATE = '#!/bin/sh\ni=0\nwhile [ $i -lt 60 ]; do echo "$i $(cat "$1")"; i=$((i+1)); sleep 0.1; done\n';
const MINE = 'executable = simulate\narguments = input.dat\ntransfer_input_files = input.dat\nlog = mine.log\nqueue\n';
const expected = Array.from({ length: 60 }, (_, step) => `${step} data\n`).join('');

test('the pool to try it in', { timeout: 60_000 }, async (context) => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const [program = '', ...args] = TRY.replace(/ bash\b.*/, ' condor_status -af Name').split(' ');
  const { status, stdout, stderr } = spawnSync(join(root, program), args, { encoding: 'utf8' });
  if (status === 69) return context.skip(stderr);
  assert.equal(stdout.trim().split('\n').length, 4, `two nodes with two slots each: ${stdout}${stderr}`);
});

test('the commands of docs/htcondor.md', { timeout: 115_000 }, async (context) => {
  const bench = await CondorBench.start();
  if (typeof bench === 'string') return context.skip(bench);
  await using all = bench;
  const { pool, chirp } = all;
  const here = (text: string): string =>
    text
      .replaceAll('chirp.example.org:9094/checkpoints', `${chirp.host}:${chirp.port}/`)
      .replaceAll('chirp.example.org:9094', `${chirp.host}:${chirp.port}`)
      .replaceAll('/opt/blcr/bin/blcr', join(pool.directory, 'blcr'))
      .replaceAll('condor_q -af', `${UNTIL_CHECKPOINTED}\ncondor_q -af`)
      .replaceAll('--every 1h', `--every 1s --wrapper ${join(pool.directory, 'blcr_wrapper')}`)
      .replaceAll(/--every 2h|--max-rate 20MB/g, `$& --wrapper ${join(pool.directory, 'blcr_wrapper')}`)
      // A second server: the one of the page's users is there already. It ends with the pool, to which its environment belongs.
      .replace('/srv/checkpoints --port 9094', `${pool.makeDirectory('served')} --port 0 --advertise -`)
      .replace('/run/chirp.pid', join(pool.directory, 'chirp.pid'));
  await pool.configure('nodeA', here(blocksOf('condor')).replace('5m', '2s'));
  const directory = pool.makeDirectory('jobs/page');
  pool.write('jobs/page/simulate', SIMULATE, 0o755);
  pool.write('jobs/page/input.dat', 'data\n');
  pool.write('jobs/page/mine.sub', MINE);
  const script = `set -eux\nPATH=${pool.directory}:$PATH\n${here(blocksOf('sh'))}`;
  const output = await pool.run('/bin/bash', ['-c', script], directory, 100_000);
  const read = (name: string): string => readFileSync(join(directory, name), 'utf8');
  pool.write(
    'jobs/page/classic.sub',
    `${here(CLASSIC).replace('= blcr_wrapper', `= ${join(pool.directory, 'blcr_wrapper')}`)}\nqueue\n`,
  );
  const ad = await pool.run('condor_submit', ['-dry-run', '-', 'classic.sub'], directory);
  assert.match(ad, /^OnExitRemove=.*ExitCode =!= 85.*ExitCode =!= 75/m);
  assert.match(ad, /^Arguments="chirp\.example\.org 9094 60 \$\$\(\[GlobalJobId\]\) \.\/simulate input\.dat"$/m);
  assert.equal(read('simulate.out'), expected);
  assert.match(output, /^HAS_BLCR = True$/m);
  assert.equal(existsSync(join(pool.directory, 'served/.__acl')), true, 'the administrator’s server ran');
  assert.match(read('carried.sub'), /^checkpoint_exit_code = 85$/m);
  assert.match(read('ticket.sub'), /^transfer_input_files = .*simulate\.ticket/m);
  assert.match(read('ticket.sub'), /--ticket simulate\.ticket --max-rate 20MB/);
  assert.match(output, /^slot1@nodeA\S* true userspace /m);
  assert.match(read('simulate.log'), /^004 /m, 'it was evicted');
});
