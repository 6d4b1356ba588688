/**
 * Several checkpoints of one program at the same time, by its main thread and by a worker's. Says "continued" when all of them are there, and
 * waits to be killed; ends well where one of them was restarted.
 *
 *     node at-once.mjs MODULE DIRECTORY
 */
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const [module, directory] = isMainThread ? process.argv.slice(2) : workerData;
const { checkpointSelf } = await import(module);
const save = (name) => checkpointSelf({ file: `${directory}/${name}` });

if (isMainThread) {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: [module, directory] });
  const others = once(worker, 'message').then(([lives]) => lives);
  const lives = (await Promise.all([save('one'), save('two'), save('same'), save('same'), others])).flat();
  if (lives.includes('restarted')) process.exit(0);
  appendFileSync(`${directory}/said`, `${[...new Set(lives)]}\n`);
  setInterval(() => undefined, 1000);
} else {
  parentPort.postMessage(await Promise.all([save('three'), save('same')]));
}
