/** Threads and processes that end while a request is pending. What ends is a program of its own: nothing can assert its own end. */
import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { addonPath, buildScriptedLibrary } from './scripted.ts';

const library = buildScriptedLibrary();

/** The beginning of every program, main or worker. */
const PRELUDE = `
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const fs = require('node:fs');
const binding = require(${JSON.stringify(addonPath)});
binding.openLibrary([${JSON.stringify(library)}]);
const request = (target = 0) => binding.requestCheckpoint({ scope: 0, target, fd: -4096, signal: 0, timeoutSeconds: 0, flags: 0 });
const complete = async (handle) => { await binding.waitReadable(handle); return binding.reap(handle); };
const worker = (body) => new Worker(prelude + body, { eval: true });
`;

function run(body: string, script = '', args: readonly string[] = []): SpawnSyncReturns<string> {
  const prelude = `const prelude = ${JSON.stringify(PRELUDE)};`;
  return spawnSync(process.execPath, [...args, '-e', `${prelude}${PRELUDE}${body}`], {
    encoding: 'utf8',
    timeout: 20_000,
    env: { ...process.env, NODE_OPTIONS: '', SCRIPTED_LIBCR: script },
  });
}

function assertClean(ended: SpawnSyncReturns<string>, output: string, status = 0): void {
  assert.deepEqual(
    { status: ended.status, signal: ended.signal, stdout: ended.stdout.trim(), stderr: ended.stderr.trim() },
    { status, signal: null, stdout: output, stderr: '' },
  );
}

test('the loop stays alive while somebody waits, and only then', () => {
  const waited = run(`complete(request()).then((result) => console.log('done', result));`, 'delay=200');
  assertClean(waited, 'done 0');
  const start = performance.now();
  assertClean(run(`request(); console.log('left');`, 'delay=3000'), 'left');
  assert.ok(performance.now() - start < 2500, 'a request that nobody waits for must not keep the process');
});

test('process.exit with a wait pending', () => {
  const ended = run(
    `complete(request()); setTimeout(() => { console.log('leaving'); process.exit(3); }, 30);`,
    'delay=5000',
  );
  assertClean(ended, 'leaving', 3);
});

test('process.exit with a wait for a child pending', () => {
  for (const disable of ['', 'pidfd']) {
    const body = `process.env.BLCR_DISABLE='${disable}';
      const handle = binding.requestRestart({ fd: fs.openSync('/dev/null'), signal: 0, flags: 0, relocate: [] });
      complete(handle).then((pid) => { binding.waitChild(pid); setTimeout(() => { process.kill(pid, 'SIGKILL'); process.exit(4); }, 20); });`;
    assertClean(run(body, 'life=5000;delay=0'), '', 4);
  }
});

test('several threads at once, each with its own requests', () => {
  const body = `
    const each = \`(async () => { for (let i = 0; i < 10; i++) { const handle = binding.requestRestart({ fd: fs.openSync('/dev/null'), signal: 0, flags: 0, relocate: [] });
      const pid = await complete(handle); if (await binding.waitChild(pid) !== 0) throw new Error('status'); }
      parentPort.postMessage('ten'); })();\`;
    for (let i = 0; i < 4; i++) worker(each).on('message', (text) => console.log(text)).on('error', (error) => { console.log(error); });
  `;
  assertClean(run(body, 'delay=5;life=5'), 'ten\nten\nten\nten');
});

test('a worker that is terminated with waits open ends cleanly, and the main thread goes on', () => {
  const body = `
    const open = \`process.env.BLCR_DISABLE = 'pidfd';
      const start = () => binding.requestRestart({ fd: fs.openSync('/dev/null'), signal: 0, flags: 0, relocate: [] });
      for (let i = 0; i < 8; i++) binding.waitReadable(start());
      parentPort.postMessage('waiting');\`;
    (async () => {
      for (let i = 0; i < 5; i++) {
        const thread = worker(open);
        await new Promise((resolve) => thread.once('message', resolve));
        console.log(await thread.terminate());
      }
      console.log(await complete(request()));
    })();
  `;
  assertClean(run(body, 'delay=300;life=5'), '1\n1\n1\n1\n1\n0');
});

test('a worker that ends by itself while a request is pending', () => {
  const body = `
    const thread = worker("request(); binding.waitReadable(request(process.ppid)).catch(() => 0); setTimeout(() => process.exit(7), 20);");
    thread.on('exit', (code) => console.log('exit', code));
  `;
  assertClean(run(body, 'delay=2000'), 'exit 7');
});

test('a handle that is dropped is collected and its descriptor closed', () => {
  const body = `
    const count = () => fs.readdirSync('/proc/self/fd').length;
    (async () => {
      await complete(request());
      process.env.SCRIPTED_LIBCR = 'delay=10;error=5';
      const before = count();
      for (let i = 0; i < 50; i++) binding.requestRestart({ fd: fs.openSync('/dev/null'), signal: 0, flags: 0, relocate: [] });
      const opened = count();
      for (let i = 0; i < 5; i++) { global.gc(); await new Promise((resolve) => setTimeout(resolve, 20)); }
      // 50 descriptors of /dev/null are this program's own.
      console.log(opened - before >= 100, count() - before <= 60);
    })();
  `;
  assertClean(run(body, 'delay=10', ['--expose-gc']), 'true true');
});
