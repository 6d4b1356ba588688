/** A network that is cut between node and server: namespaces and a virtual cable, which is pulled. */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { counted, counting } from '../cli/job-bench.ts';
import { ChirpServer } from '../support/chirp-server.ts';
import {
  CHIRP_LIMITS,
  FaultBench,
  IS_ROOT,
  isCheckpoint,
  isStarted,
  isWarning,
  LiveEvents,
  ORDINARY_USER,
} from './bench.ts';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const STEPS = 70;
const CUT_MS = 2000;
const ip = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

interface Cable {
  readonly namespace: string;
  readonly serverAddress: string;
  pull(): void;
  plug(): void;
}

/** A namespace for the node, and a cable from it to this one. */
function lay(context: TestContext): Cable {
  const number = process.pid % 200;
  const [namespace, near, far] = [`blcr-${process.pid}`, `bl${process.pid}a`, `bl${process.pid}b`];
  const inside = (...args: readonly string[]): string => ip('netns', 'exec', namespace, 'ip', ...args);
  context.after(() => ip('netns', 'delete', namespace));
  ip('netns', 'add', namespace);
  ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', namespace);
  ip('address', 'add', `10.231.${number}.1/30`, 'dev', near);
  ip('link', 'set', near, 'up');
  inside('address', 'add', `10.231.${number}.2/30`, 'dev', far);
  const plug = (): string => inside('link', 'set', far, 'up');
  plug();
  return { namespace, serverAddress: `10.231.${number}.1`, plug, pull: () => inside('link', 'set', far, 'down') };
}

function obstacle(): string | false {
  if (CHIRP_LIMITS.skip !== false) return CHIRP_LIMITS.skip;
  if (!IS_ROOT) return 'network namespaces that reach each other need root';
  try {
    ip('-V');
    return false;
  } catch {
    return 'ip is not installed (Debian: iproute2)';
  }
}

test('the network is away at the start and in the middle: the job does not notice', {
  skip: obstacle(),
  timeout: 90_000,
}, async (context) => {
  const bench = new FaultBench(context);
  const cable = lay(context);
  await using server = await ChirpServer.start({ host: cable.serverAddress, acl: 'address:10.231.* rwlda\n' });
  const scratch = bench.makeDirectory('one');
  cable.pull();
  const options = ['--id', 'job', '--json', '--first', '200ms', '--every', '400ms', '--auth', 'address'];
  const store = ['--store', `chirp://${server.host}:${server.port}/store`];
  const user = ['setpriv', '--reuid', String(ORDINARY_USER), '--regid', String(ORDINARY_USER), '--clear-groups'];
  const program = [process.execPath, MAIN, 'run', ...store, ...options, '--', ...counting(STEPS)];
  const out = bench.openOutput('out');
  const child = spawn('ip', ['netns', 'exec', cable.namespace, ...user, ...program], {
    cwd: scratch,
    env: { ...bench.environment(), HOME: scratch },
    stdio: [openSync('/dev/null', 'r'), out, 'pipe'],
  });
  const live = new LiveEvents(child);
  await live.until(isWarning('ERR_STORE_UNREACHABLE'));
  await live.until(isStarted);
  cable.plug();
  await live.until(isCheckpoint);

  cable.pull();
  const stored = live.seen.filter(isCheckpoint).length;
  await delay(CUT_MS);
  // One may have been on its way back.
  assert.ok(live.seen.filter(isCheckpoint).length <= stored + 1, 'the network is not cut');
  assert.equal(child.exitCode, null);
  const before = live.seen.length;
  cable.plug();
  await live.until(isCheckpoint, before);
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  assert.equal(bench.read('out'), counted(STEPS));
  assert.ok(bench.events('one').some(isWarning('ERR_STORE_UNREACHABLE')), 'it is in the log');
});
