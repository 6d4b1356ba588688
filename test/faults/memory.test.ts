/** Checkpoints of programs that have nearly used up the memory of their control group: they wait, they are never killed. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { listDescendants } from '../../lib/job/process-tree.ts';
import { ChirpServer } from '../support/chirp-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { CHIRP_LIMITS, FaultBench, IS_ROOT, isCheckpoint, isStarted, LiveEvents, NEVER } from './bench.ts';

const MEBIBYTE = 1024 * 1024;
const V1 = '/sys/fs/cgroup/memory';
const V2 = '/sys/fs/cgroup';

/** Where a group can be made, by version; undefined when memory is not controlled here. */
function findHierarchy(): { readonly root: string; readonly version: 1 | 2 } | undefined {
  if (existsSync(join(V1, 'memory.limit_in_bytes'))) return { root: V1, version: 1 };
  const controllers = join(V2, 'cgroup.subtree_control');
  if (existsSync(controllers) && readFileSync(controllers, 'utf8').split(/\s/).includes('memory'))
    return { root: V2, version: 2 };
  return undefined;
}

const hierarchy = findHierarchy();
const skip =
  CHIRP_LIMITS.skip ||
  (IS_ROOT ? (hierarchy === undefined ? 'no memory control groups here' : false) : 'making a control group needs root');

/** A control group with a limit in bytes. */
class Group {
  readonly #path: string;
  readonly #version: 1 | 2;

  constructor(context: TestContext, limit: number) {
    const { root, version } = hierarchy ?? { root: '', version: 1 };
    this.#version = version;
    this.#path = join(root, `blcr-test-${process.pid}-${limit}`);
    mkdirSync(this.#path);
    context.after(() => rmdirSync(this.#path));
    writeFileSync(join(this.#path, version === 1 ? 'memory.limit_in_bytes' : 'memory.max'), String(limit));
  }

  /** Only root may do so in both versions. */
  take(pid: number): void {
    writeFileSync(join(this.#path, 'cgroup.procs'), String(pid));
  }

  kills(): number {
    const file = join(this.#path, this.#version === 1 ? 'memory.oom_control' : 'memory.events');
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync(file, 'utf8'))?.[1] ?? 0);
  }

  highest(): number {
    const file = this.#version === 1 ? 'memory.max_usage_in_bytes' : 'memory.peak';
    return Number(readFileSync(join(this.#path, file), 'utf8'));
  }
}

const LIMIT = 256 * MEBIBYTE;

for (const [what, size, grown] of [
  ['at 90 % that writes everywhere', 230, 230],
  ['at 45 % that grows to 85 % during a slow upload', 115, 217],
] as const) {
  test(`a program ${what}: checkpointed, not killed`, { ...CHIRP_LIMITS, skip }, async (context) => {
    const bench = new FaultBench(context);
    const group = new Group(context, LIMIT);
    await using server = await ChirpServer.start();
    await using proxy = await TcpProxy.start(server, { uploadRate: 40_000_000 });
    const victim = bench.build('victim');
    const go = join(bench.directory, 'go');
    const enter = `while [ ! -e ${go} ]; do sleep 0.02; done; exec ${victim} write ${size} ${grown} 7`;
    const url = `chirp://${proxy.host}:${proxy.port}/store`;
    const child = bench.runAt(url, 'one', ['/bin/sh', '-c', enter], NEVER);
    const live = new LiveEvents(child);
    const started = await live.until(isStarted);
    const [shell = 0] = listDescendants(started.event === 'started' ? started.pid : 0);
    group.take(shell);
    writeFileSync(go, '');
    while (group.highest() < size * MEBIBYTE) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGUSR2');
    await live.untilShipped(4 * MEBIBYTE);
    child.kill('SIGUSR1');
    const taken = await live.until(isCheckpoint);
    assert.equal(group.kills(), 0, 'the kernel has killed something in the group');
    assert.ok(taken.event === 'checkpoint' && taken.contextBytes > size * MEBIBYTE);
    context.diagnostic(
      `${taken.snapshot}, stood still for ${taken.stopUs} us of ${taken.totalMs} ms, at most ${group.highest() / LIMIT} of the limit`,
    );
    child.kill('SIGHUP');
    assert.equal(taken.snapshot, size < 200 ? 'fork' : 'plain');
    const [code, signal] = await once(child, 'exit');
    assert.deepEqual([code, signal], [7, null]);
    assert.equal(group.kills(), 0);
    await bench.untilNothingRuns();
  });
}
