/**
 * Jobs behind seccomp filters that were there before them: keeper, job and requester live behind one as on a node of a batch system. Whatever
 * it does, the job goes on; what cannot be done is refused, and the refusal names the call.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { childrenOf, ended, NATIVE, Workshop, waitUntil } from './tools.ts';

const LIMIT = { timeout: 60_000 };
/** Low byte of CR_ENOSUPPORT. */
const UNSUPPORTED = 52;
const shop = new Workshop();
const filter = shop.path('filter');

before(() => {
  const source = fileURLToPath(new URL('filter.c', import.meta.url));
  execFileSync('cc', ['-O1', '-Wall', '-Werror', '-o', filter, source]);
});
after(() => shop.clean());

const behind = (action: string, calls: string, tool: string): readonly string[] => [action, calls, NATIVE + tool];

/** A family with threads of control that a stop interrupts in different calls, connected by a pipe. */
const FAMILY = 'while echo up; do sleep 0.02; done | while read -r line; do echo "$line"; done';

/** A checkpoint of a job behind the filter; that it goes on afterwards is part of it. */
async function checkpointBehind(
  action: string,
  calls: string,
  name: string,
): Promise<{ status: number | null; text: string }> {
  const child = shop.start(filter, [...behind(action, calls, 'cr_run'), 'sh', '-c', FAMILY], name);
  await shop.waitForLines(name, 2);
  const [root] = childrenOf(child.pid);
  const outcome = shop.run(filter, [...behind(action, calls, 'cr_checkpoint'), '-f', `${name}.context`, String(root)]);
  await shop.waitForLines(name, shop.read(name).split('\n').length + 2);
  assert.deepEqual([child.exitCode, child.signalCode, shop.read(`${name}.err`)], [null, null, '']);
  child.kill('SIGTERM');
  await ended(child);
  return outcome;
}

/** What a restart behind the filter says, of a context that was made elsewhere, and that it leaves alone. */
function refusedRestart(action: string, calls: string, context: string): { status: number | null; text: string } {
  const bytes = readFileSync(shop.path(context));
  const outcome = shop.run(filter, [...behind(action, calls, 'cr_restart'), context]);
  assert.ok(readFileSync(shop.path(context)).equals(bytes));
  return outcome;
}

async function context(): Promise<string> {
  const child = shop.start('cr_run', ['sh', '-c', FAMILY], 'outside');
  await shop.waitForLines('outside', 2);
  await shop.checkpoint(child, 'outside.context', '--kill');
  await ended(child);
  return 'outside.context';
}

const KILLS = /a seccomp filter of this node kills whoever calls (\w+), which a (\w+) does: nothing was tried/;

for (const [calls, action, checkpoint, restart] of [
  ['strict', 'kill', 'ptrace', 'unshare'],
  ['strict', 'trap', 'ptrace', 'unshare'],
  ['service', 'kill', 'ptrace', 'mount'],
] as const) {
  test(`${calls} filters that ${action}: refused by the name of the call`, LIMIT, async () => {
    const refused = await checkpointBehind(action, calls, `${calls}-${action}`);
    assert.deepEqual(
      [refused.status, KILLS.exec(refused.text)?.slice(1)],
      [UNSUPPORTED, [checkpoint, 'checkpoint']],
      refused.text,
    );
    const there = refusedRestart(action, calls, await context());
    assert.deepEqual([there.status, KILLS.exec(there.text)?.slice(1)], [UNSUPPORTED, [restart, 'restart']], there.text);
  });
}

for (const [calls, action, restart] of [
  ['strict', 'EPERM', 'unshare'],
  ['strict', 'ENOSYS', 'unshare'],
  ['service', 'EPERM', 'mount'],
] as const) {
  test(`${calls} filters that answer ${action}: refused by the name of the call`, LIMIT, async () => {
    const refused = await checkpointBehind(action, calls, `${calls}-${action}`);
    assert.ok(refused.status !== 0 && refused.text.includes('ptrace'), refused.text);
    const there = refusedRestart(action, calls, await context());
    assert.ok(there.status !== 0 && there.text.includes(restart), there.text);
  });
}

// The numbers of x86_64. The kernel itself makes restart_syscall for a program whose sleep was interrupted.
for (const [name, number, action, words] of [
  ['sched_yield', 24, 'kill', 'kills whoever calls'],
  ['restart_syscall', 219, 'kill', 'kills whoever calls'],
  ['restart_syscall', 219, 'EPERM', 'forbids'],
] as const) {
  test(`${name}, ${action}: no checkpoint, whose stop would harm the job`, LIMIT, async () => {
    const refused = await checkpointBehind(action, String(number), `${name}-${action}`);
    assert.equal(refused.status, UNSUPPORTED, refused.text);
    assert.ok(refused.text.includes(`${words} ${name}`), refused.text);
  });
}

test('a filter that kills keepers when they are asked: they do not start, requests name the call', LIMIT, async () => {
  const getsockopt = '55';
  const start = shop.run(filter, [...behind('kill', getsockopt, 'cr_run'), 'true']);
  assert.ok(
    start.status !== 0 && start.text.includes('kills whoever calls getsockopt, which a keeper does'),
    start.text,
  );
  const child = shop.start('cr_run', ['sh', '-c', FAMILY], 'asked');
  await shop.waitForLines('asked', 2);
  const asked = shop.run(filter, [
    ...behind('kill', getsockopt, 'cr_checkpoint'),
    '-f',
    'asked.context',
    String(child.pid),
  ]);
  assert.ok(
    asked.status !== 0 && asked.text.includes('kills whoever calls getsockopt, which a request does'),
    asked.text,
  );
  child.kill('SIGTERM');
  await ended(child);
});

test('a call that only some jobs need is named when somebody has died of it', LIMIT, async () => {
  const pipe2 = '293';
  const died = refusedRestart('kill', pipe2, await context());
  assert.equal(died.status, UNSUPPORTED, died.text);
  assert.ok(died.text.includes('kills whoever calls pipe2, which restarts of some jobs do'), died.text);
});

test('the addon waits for children where pidfd_open would kill it', LIMIT, () => {
  const addon = fileURLToPath(new URL('../../../build/Release/node_blcr.node', import.meta.url));
  const script = 'require(process.argv[1]).waitChild(process.ppid).catch(({ code }) => console.log(code))';
  const asked = shop.run(filter, ['kill', '434', process.execPath, '-e', script, addon]);
  assert.deepEqual([asked.status, asked.text], [0, 'ECHILD\n']);
});

test('what neither needs does no harm', LIMIT, async () => {
  const acct = '163';
  const taken = await checkpointBehind('kill', acct, 'acct');
  assert.equal(taken.status, 0, taken.text);
  const child = shop.start(filter, [...behind('kill', acct, 'cr_restart'), 'acct.context'], 'acct.again');
  const before = shop.read('acct').length;
  await waitUntil(() => shop.read('acct').length > before + 30, 'the restarted job to go on');
  child.kill('SIGTERM');
  await ended(child);
});
