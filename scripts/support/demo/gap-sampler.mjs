/**
 * Watches a job from outside: prints "END_MS LENGTH_MS" for each time longer than 8 ms in which none of its threads got any processor time.
 * Usage: gap-sampler.mjs MARKER COMMAND      the job's processes have MARKER in their environment and COMMAND as their name
 * Processor time is counted per thread in /proc/PID/task/TID/schedstat; the kernel brings it up to date at least every 4 ms.
 */
import { readdirSync, readFileSync } from 'node:fs';

const [marker, command] = process.argv.slice(2);
const demo = process.ppid; // it may end without a word to us
const SHORTEST_MS = 8;
const pause = new Int32Array(new SharedArrayBuffer(4));

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // gone, or somebody else's
  }
}

function findJob() {
  return readdirSync('/proc').filter(
    (name) =>
      /^\d+$/.test(name) &&
      read(`/proc/${name}/comm`).trim() === command &&
      read(`/proc/${name}/environ`).includes(marker),
  );
}

function threadsOf(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}/schedstat`);
  } catch {
    return [];
  }
}

let paths = [];
let previous = '';
let changed = Date.now();
for (let round = 0; process.ppid === demo; ++round) {
  if (round % 100 === 0) paths = findJob().flatMap(threadsOf);
  const now = performance.timeOrigin + performance.now();
  const usage = paths.map((path) => read(path).split(' ')[0]).join(' ');
  if (/\d/.test(usage) && usage !== previous) {
    // The first sample of a process is no gap: before it there was nothing to watch.
    const isKnown = previous.split(' ').length === paths.length && previous !== '';
    if (isKnown && now - changed > SHORTEST_MS)
      process.stdout.write(`${now.toFixed(1)} ${(now - changed).toFixed(1)}\n`);
    changed = now;
    previous = usage;
  }
  Atomics.wait(pause, 0, 0, 2);
}
