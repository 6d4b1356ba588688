/** Submit descriptions, the attributes of a node, and the queue's names, as text. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quoteArguments, type Wrapping } from '../../lib/condor/description.ts';
import { cpuLevel, formatAbility } from '../../lib/condor/machine-ad.ts';
import { scheddOf } from '../../lib/condor/queue.ts';
import { convertDescription, describeJob } from '../../lib/condor/submit.ts';

const WRAPPING: Wrapping = {
  wrapper: '/opt/blcr_wrapper',
  store: 'chirp://host/path',
  every: '1h',
  vacateSeconds: 600,
  keyFile: 'job.key',
  ticket: undefined,
  options: [],
};
const PREFIX = 'run --store chirp://host/path --every 1h --key-file job.key --';
const linesOf = (text: string): readonly string[] => text.split('\n');

test('a description from nothing', () => {
  const job = { program: 'bin/app', args: ['A', "it's B"], inputs: ['X'], outputs: undefined, name: 'app' };
  const lines = linesOf(describeJob(job, WRAPPING, () => true));
  assert.ok(lines.includes(`arguments = "${PREFIX} ./app A 'it''s B'"`));
  assert.ok(lines.includes('transfer_input_files = bin/app, X, job.key'));
  assert.ok(lines.includes('want_graceful_removal = False'));
  assert.equal(
    lines.some((line) => /^transfer_output_files|^remove_kill_sig/.test(line)),
    false,
  );
  assert.equal(lines.at(-2), 'queue');
  const installed = describeJob({ ...job, program: 'python3' }, WRAPPING, () => false);
  assert.match(installed, / -- python3 A /);
  assert.match(installed, /^transfer_input_files = X, job.key$/m);
});

test('arguments are quoted as HTCondor reads them', () => {
  assert.equal(quoteArguments(['a', 'b c', "d'e", '', '"q"']), `a 'b c' 'd''e' '' '""q""'`);
});

test('an existing description keeps every line that can stay', () => {
  const text = `# mine
Executable = bin/app.$(Version)/tool
arguments  = -n $(Process) \\
  -v
request_memory = 1GB
requirements = OpSys == "LINUX"
remove_kill_sig = SIGINT
transfer_input_files = data.$(Process)
MyMacro = 7
queue name, size from (
 a, 1
)
`;
  const lines = linesOf(convertDescription(text, WRAPPING));
  for (const kept of ['# mine', 'request_memory = 1GB', 'MyMacro = 7', 'queue name, size from (', ' a, 1', ')'])
    assert.ok(lines.includes(kept), kept);
  assert.ok(lines.includes('Executable = /opt/blcr_wrapper'));
  assert.ok(lines.includes(`arguments  = ${PREFIX} ./tool -n $(Process) -v`));
  assert.ok(lines.includes('transfer_input_files = data.$(Process), bin/app.$(Version)/tool, job.key'));
  assert.ok(lines.includes('# remove_kill_sig = SIGINT'));
  assert.ok(lines.includes('should_transfer_files = YES'));
  assert.ok(lines.some((line) => line.startsWith('requirements = (OpSys == "LINUX") && (')));
  const added = lines.indexOf('# added by blcr submit --convert');
  assert.ok(added > 0 && lines.indexOf('want_graceful_removal = False') > added);
  assert.ok(lines.indexOf('queue name, size from (') > lines.indexOf('+WantIOProxy = True'));
});

test('whoever wants no file transfer keeps it so', () => {
  const text = 'executable = a\nshould_transfer_files = NO\nqueue';
  assert.match(convertDescription(text, WRAPPING), /^should_transfer_files = NO$/m);
});

test('arguments in the new syntax, macros as executable, conditions of the user’s own', () => {
  const text = `executable = $(prog)
arguments = "one 'two three'"
on_exit_remove = ExitCode < 100
on_exit_hold = ExitCode == 4
job_max_vacate_time = 30
queue prog in (a b)`;
  const lines = linesOf(convertDescription(text, WRAPPING));
  assert.ok(lines.includes(`arguments = "${PREFIX} ./$Fnx(prog) one 'two three'"`));
  assert.ok(lines.some((line) => line.startsWith('on_exit_remove = (ExitCode < 100) && (')));
  assert.ok(lines.some((line) => line.startsWith('on_exit_hold = (ExitCode == 4) || (')));
  assert.ok(lines.includes('job_max_vacate_time = 30'));
  const local = linesOf(
    convertDescription('executable = /bin/app\ntransfer_executable = false\nqueue', {
      ...WRAPPING,
      keyFile: undefined,
    }),
  );
  assert.ok(local.includes('transfer_executable = True'));
  assert.ok(local.includes('arguments = run --store chirp://host/path --every 1h -- /bin/app'));
});

test('what cannot be converted is refused by name', () => {
  const refusals = [
    ['queue', /no executable/],
    ['executable = a', /no queue/],
    ['executable = a\nqueue\nexecutable = b\nqueue', /several executables/],
    ['executable = x/$(a).$(b)\nqueue', /a macro must be all of it/],
  ] as const;
  for (const [text, expected] of refusals) assert.throws(() => convertDescription(text, WRAPPING), expected);
});

test('a node’s attributes', () => {
  const text = formatAbility({
    isProved: false,
    reason: 'no "way"\nat all',
    engine: 'none',
    kernel: '6.1.0',
    cpuLevel: undefined,
    userNamespaces: true,
  });
  assert.match(text, /^HAS_BLCR = False$/m);
  assert.match(text, /^BLCR_Reason = "no \\"way\\" at all"$/m);
  assert.match(text, /\n- update:true\n$/);
});

test('levels of processors', () => {
  const v2 = 'cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3';
  assert.equal(cpuLevel('flags\t\t: fpu sse2\n'), 'x86_64-v1');
  assert.equal(cpuLevel(`flags : ${v2} avx\n`), 'x86_64-v2');
  assert.equal(cpuLevel(`flags : ${v2} avx avx2 bmi1 bmi2 f16c fma abm movbe xsave\n`), 'x86_64-v3');
  assert.equal(cpuLevel('Features : fp\n'), undefined);
});

test('whose job a name in a store is', () => {
  assert.equal(scheddOf('alice@host.domain_15.0_1795345176'), 'alice@host.domain');
  assert.equal(scheddOf('my_simulation-7'), undefined);
});
