/** One dump of a running victim, by this package's engine or by the plain stop-and-copy of bench/reference. */
import { setTimeout as sleep } from 'node:timers/promises';
import { requestCheckpoint } from '../../lib/checkpoint/request.ts';
import { compiled, finish, start, textOf } from './programs.ts';
import { openSink } from './sink.ts';
import { interleave, type Pair } from './statistics.ts';
import type { Victim } from './victim.ts';

export interface Dump {
  /** How long the victim was stopped, as the dumper says. */
  readonly stopMs: number;
  /** The longest gap that the victim saw while the dump was on its way. */
  readonly gapMs: number;
  readonly totalMs: number;
  readonly bytes: number;
  /** Bytes over the time from the first to the last one, as the reading process saw it. */
  readonly bytesPerSecond: number;
}

export interface DumpOptions {
  readonly checksum: boolean;
  readonly snapshot?: 'auto' | 'fork' | 'plain';
  /** How fast our context is read; the yardstick's is always read as fast as it comes. */
  readonly bytesPerSecond?: number;
}

/** Gaps that begin shortly before or after the dump are its doing as well: seizing, reaping. */
const MARGIN_MS = 5;

async function measured(victim: Victim, dump: (fd: number) => Promise<number>, bytesPerSecond?: number): Promise<Dump> {
  const sink = openSink(bytesPerSecond);
  const started = Date.now();
  const clock = performance.now();
  const stopMs = await dump(sink.fd).finally(() => sink.closeWriter());
  const { bytes, seconds } = await sink.done;
  const totalMs = performance.now() - clock;
  await sleep(50); // the victim writes a gap down when it is over
  const gapMs = victim.record.longestGap(started - MARGIN_MS, Date.now());
  return { stopMs, gapMs, totalMs, bytes, bytesPerSecond: bytes / seconds };
}

/** A checkpoint by this package, its context streamed into a pipe that another process reads. */
export function ourDump(victim: Victim, options: DumpOptions): Promise<Dump> {
  const { checksum, snapshot = 'auto', bytesPerSecond } = options;
  const dump = async (fd: number): Promise<number> => {
    const { stopUs } = await requestCheckpoint({ target: victim.pid, to: fd, checksum, snapshot });
    return stopUs / 1000;
  };
  return measured(victim, dump, bytesPerSecond);
}

/** The yardstick, into a pipe of the same kind. */
export function plainDump(victim: Victim, { checksum }: DumpOptions): Promise<Dump> {
  return measured(victim, async (fd) => {
    const command = [compiled('reference/stopcopy.cc'), `${victim.pid}`, ...(checksum ? ['crc'] : [])];
    const child = start(command, ['ignore', fd, 'pipe']);
    const [text] = await Promise.all([textOf(child.stderr), finish(child)]);
    return Number(text.split(' ')[0]) / 1e6;
  });
}

/** Alternating dumps of both kinds, the first pair thrown away. @throws when any of them fails */
export async function dumpPairs(rounds: number, victim: Victim, options: DumpOptions): Promise<readonly Pair<Dump>[]> {
  const settled = async (dump: Promise<Dump>): Promise<Dump> => {
    const result = await dump;
    await sleep(200); // pages copied on write settle, the victim gets back to its rate
    return result;
  };
  const pairs = await interleave(
    rounds + 1,
    () => settled(ourDump(victim, options)),
    () => settled(plainDump(victim, options)),
  );
  return pairs.slice(1);
}
