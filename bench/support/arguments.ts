/** The options that every benchmark takes. */
import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** Measurements of each kind, the first ones (thrown away) not counted. */
  readonly rounds: number;
  /** Only cases whose name contains this. */
  readonly only: string;
  /** MiB of the large cases, for machines with less memory. */
  readonly sizeMiB: number;
}

export function benchOptions(defaults: { readonly rounds: number; readonly sizeMiB: number }): BenchOptions {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: String(defaults.rounds) },
      size: { type: 'string', default: String(defaults.sizeMiB) },
      only: { type: 'string', default: '' },
    },
  });
  const rounds = Number(values.rounds);
  const sizeMiB = Number(values.size);
  if (!Number.isInteger(rounds) || rounds < 1 || !Number.isInteger(sizeMiB) || sizeMiB < 1) {
    throw new Error('--rounds and --size take whole numbers from 1');
  }
  return { rounds, sizeMiB, only: values.only };
}
