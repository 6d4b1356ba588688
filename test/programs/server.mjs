// A worker, timers, the pool of threads, an HTTP server with kept connections and a child process in Node. Usage: server.mjs ROUNDS
import { spawn } from 'node:child_process';
import { createHash, pbkdf2 } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Agent, createServer, request } from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

const rounds = Number(process.argv[2]);
const worker = new Worker(
  "require('node:worker_threads').parentPort.on('message', function (n) { this.postMessage(n * n); })",
  {
    eval: true,
  },
);
const child = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] });
const lines = createInterface({ input: child.stdout });
const server = createServer((call, response) => response.end(`answer to ${call.url}`)).listen(0, '127.0.0.1');
await once(server, 'listening');
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const digest = createHash('sha256');

async function ask(round) {
  const [response] = await once(request({ port: server.address().port, path: `/${round}`, agent }).end(), 'response');
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return text;
}

for (let round = 1; round <= rounds; round++) {
  worker.postMessage(round);
  child.stdin.write(`line ${round}\n`);
  const [[square], [line], answer, key, self] = await Promise.all([
    once(worker, 'message'),
    once(lines, 'line'),
    ask(round),
    promisify(pbkdf2)('secret', String(round), 500, 16, 'sha256'),
    readFile(process.argv[1], 'utf8'),
    delay(30),
  ]);
  digest.update(key);
  console.log(`round ${round} ${square} ${line} ${answer} ${key.toString('hex')} ${self.length > 100}`);
  if (existsSync('enough')) break;
}
child.stdin.end();
const [code] = await once(child, 'exit');
console.log(`end ${code} ${digest.digest('hex')}`);
await worker.terminate();
agent.destroy();
server.close();
