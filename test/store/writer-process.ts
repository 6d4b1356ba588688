/** A process that writes checkpoints until it is killed. Prints a line for each that is complete. Arguments: URL, bytes of memory. */
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../../lib/store/index.ts';
import { bundleWorkers, RECORD } from './backends.ts';
import { contextStream, randomMemory } from './streams.ts';

bundleWorkers();
const [url = '', size = '0'] = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), 'store-writer-'));
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
