import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { carriedFlags } from '../../lib/checkpoint/carried-files.ts';
import { CR_CHKPT_DUMP_EXEC, CR_CHKPT_DUMP_SHARED } from '../../lib/checkpoint/constants.ts';
import { CPU_BASELINES, confinedEnvironment } from '../../lib/job/cpu-baseline.ts';
import { resolveOptions } from '../../lib/job/options.ts';
import { runCli } from '../cli/run-cli.ts';

const LOADER = '/lib64/ld-linux-x86-64.so.2';
/** Of glibc's own list: CPUID leaf 7, register ebx. */
const LEAF7 = /^x86\.cpu_features\.features\[0x1\]\.active\[0x1\]=0x([0-9a-f]+)$/m;
const AVX2 = 1 << 5;
const AVX512F = 1 << 16;

test('glibc itself says that it uses nothing beyond the baseline', (t) => {
  if (!existsSync(LOADER)) return t.skip('this is no system of glibc');
  const uses = (env: NodeJS.ProcessEnv): number => {
    const text = execFileSync(LOADER, ['--list-diagnostics'], { env, encoding: 'utf8' });
    return Number.parseInt(LEAF7.exec(text)?.[1] ?? '0', 16);
  };
  const all = uses({});
  assert.equal(uses(confinedEnvironment({}, 'x86-64-v2')) & (AVX2 | AVX512F), 0);
  assert.equal(uses(confinedEnvironment({}, 'x86-64-v3')) & AVX512F, 0);
  assert.equal(uses(confinedEnvironment({}, 'x86-64-v3')) & AVX2, all & AVX2);
});

test('what the user has set is kept', () => {
  const env = { GLIBC_TUNABLES: 'glibc.malloc.arena_max=2', OPENBLAS_CORETYPE: 'PRESCOTT', LD_BIND_NOW: '' };
  for (const baseline of CPU_BASELINES) {
    const confined = confinedEnvironment(env, baseline);
    assert.match(confined['GLIBC_TUNABLES'] ?? '', /^glibc\.malloc\.arena_max=2:glibc\.cpu\.hwcaps=-/);
    assert.equal(confined['OPENBLAS_CORETYPE'], 'PRESCOTT');
    assert.equal(confined['LD_BIND_NOW'], '');
  }
});

test('wrong values are refused before anything starts', async () => {
  const job = { id: 'x', store: 'file:///nowhere', command: 'true' };
  assert.throws(() => resolveOptions({ ...job, cpuBaseline: 'x86-64-v9' as never }), { code: 'ERR_USAGE' });
  assert.throws(() => resolveOptions({ ...job, save: ['everything' as never] }), { code: 'ERR_USAGE' });
  for (const option of ['--cpu-baseline=pentium', '--save=everything']) {
    const args = ['run', '--store', 'file:///nowhere', '--id', 'x', option, '--', 'true'];
    const { code, stderr } = await runCli('blcr', args);
    assert.equal(code, 64);
    assert.match(stderr, new RegExp(option.split('=')[0] ?? ''));
  }
});

test('kinds of files become flags of the request', () => {
  assert.equal(carriedFlags([]), 0);
  assert.equal(carriedFlags(['exe', 'shared']), CR_CHKPT_DUMP_EXEC | CR_CHKPT_DUMP_SHARED);
});
