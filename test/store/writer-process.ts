/** A process that writes checkpoints until it is killed. Prints a line for each that is complete. Arguments: URL, bytes of memory, scratch directory. */
import { openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openStore } from '../../lib/store/index.ts';
import { bundleWorkers, RECORD } from './backends.ts';
import { contextStream, randomMemory } from './streams.ts';

bundleWorkers();
const [url = '', size = '0', scratch = ''] = process.argv.slice(2);
const store = await openStore(url);
const claim = await store.claim('job');
process.stdout.write('claimed\n');
for (;;) {
  const path = join(scratch, 'context');
  writeFileSync(path, Buffer.concat([...contextStream(randomMemory(Number(size)))]));
  const contextFd = openSync(path, 'r');
  rmSync(path);
  const { sequence } = await claim.write({
    contextFd,
    complete: Promise.resolve(),
    files: async () => [],
    record: () => RECORD,
  });
  process.stdout.write(`${sequence}\n`);
  await claim.retain(2);
}
