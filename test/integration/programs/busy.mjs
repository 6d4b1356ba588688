/**
 * A Node program with everything under way that a Node program has: a worker thread, timers, reads and writes of files, an HTTP server with a
 * connection kept alive from inside, a child process. It checkpoints itself with all of it in use, and checks that all of it goes on.
 *
 *     node busy.mjs MODULE DIRECTORY [FILE]     FILE: of the context; without it the job's store
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { Agent, createServer, request } from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

const [module, directory, file] = process.argv.slice(2);
const { checkpointSelf } = await import(module);
const say = (line) => appendFileSync(`${directory}/said`, `${line}\n`);

const worker = new Worker(
  "require('node:worker_threads').parentPort.on('message', function (n) { this.postMessage(n * n); })",
  {
    eval: true,
  },
);
const child = spawn('/bin/sh', ['-c', 'while read n; do echo $((n + 1)); done; exit 7'], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
const replies = createInterface({ input: child.stdout });

let requests = 0;
const server = createServer((_, response) => setTimeout(() => response.end(String(++requests)), 20));
const sockets = new Set();
server.on('connection', (socket) => sockets.add(socket));
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

async function fetchCount() {
  const call = request({ port: server.address().port, agent }).end();
  const [response] = await once(call, 'response');
  response.setEncoding('utf8');
  let body = '';
  for await (const part of response) body += part;
  return Number(body);
}

let ticks = 0;
const ticking = setInterval(() => {
  ticks += 1;
}, 5);
const log = await open(`${directory}/log`, 'w');

/** One piece of everything, all at once. */
async function round(n) {
  worker.postMessage(n);
  child.stdin.write(`${n}\n`);
  const before = ticks;
  const [[square], [next], count] = await Promise.all([
    once(worker, 'message'),
    once(replies, 'line'),
    fetchCount(),
    log.appendFile(`${n}\n`),
    delay(20),
  ]);
  if (square !== n * n || Number(next) !== n + 1 || count !== n || ticks === before) {
    throw new Error(`round ${n}: ${square} ${next} ${count} ${ticks - before}`);
  }
}

await round(1);
const during = round(2);
const life = await checkpointSelf(file === undefined ? {} : { file });
await during;
say(life);
await round(3);
if (sockets.size !== 1) throw new Error(`${sockets.size} connections were made`);
// Whoever runs the test kills the first life here.
if (life === 'continued') await delay(60_000);
say(`again ${await checkpointSelf(file === undefined ? {} : { file })}`);
await round(4);
clearInterval(ticking);
child.stdin.end();
const [code] = await once(child, 'exit');
await worker.terminate();
agent.destroy();
server.close();
await log.close();
say(`end ${code}`);
