/**
 * The soak of one user: rounds until the time is over, several at once, one line of JSON for each.
 *     driver.ts SECONDS ROUNDS SEED DIRECTORY [NAME…]
 */

import { seeded } from './random.ts';
import { soakRound } from './round.ts';
import { subjects } from './subjects.ts';

/** Enough to keep two processors busy with programs that mostly wait. */
const AT_ONCE = 3;

const [seconds = '60', most = '0', seed = '1', directory = '.', ...names] = process.argv.slice(2);
const all = subjects().filter(({ name }) => names.length === 0 || names.some((part) => name.includes(part)));
const deadline = performance.now() + Number(seconds) * 1000;
let next = Number(seed);
let left = Number(most) || Number.POSITIVE_INFINITY;

async function work(): Promise<void> {
  while (left > 0 && performance.now() < deadline) {
    left -= 1;
    const roundSeed = next++;
    const subject = seeded(roundSeed ^ 0x5bd1e995).pick(all);
    console.log(JSON.stringify(await soakRound(subject, directory, roundSeed)));
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, work));
process.exit(0); // whatever a failed round has left is no reason to stay
