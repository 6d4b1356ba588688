/** Machines whose date is set while a job runs. Only a machine of one's own may be treated so: `BLCR_TEST_KERNELS=1 ./scripts/test --only unit vm/clock`. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { obtainKernel } from '../support/vm/kernel.ts';
import { runInMachine } from '../support/vm/machine.ts';

const NATIVE = fileURLToPath(new URL('../../build/native', import.meta.url));
const SCRIPT = fileURLToPath(new URL('clock.sh', import.meta.url));
const skip = process.env['BLCR_TEST_KERNELS'] === '1' ? false : 'set BLCR_TEST_KERNELS=1: it takes a minute each';

for (const [what, seconds] of [
  ['two hours forward', 7200],
  ['two hours back', -7200],
] as const) {
  test(`a job whose machine’s date is set ${what} keeps its System V semaphores`, { skip }, async (context) => {
    const directory = mkdtempSync(join(tmpdir(), 'clock-'));
    context.after(() => rmSync(directory, { recursive: true, force: true }));
    let said = '';
    const output = new Writable({
      write: (chunk, _encoding, done) => {
        said += String(chunk);
        done();
      },
    });
    const kernel = await obtainKernel('6.1');
    const command = ['bash', SCRIPT, NATIVE, String(seconds)];
    const status = await runInMachine({ kernel, command, cwd: directory, writable: [directory], output });
    assert.equal(status, 0, said);
    assert.equal(readFileSync(join(directory, 'out'), 'utf8'), 'value 5\n', said);
  });
}
