/** Writes synthetic context streams in the engine's frame format. Source: native/engine/image/format.h */
import { randomFillSync } from 'node:crypto';

export const PAGE = 4096;
const WINDOW = 1024 * 1024;

export function frame(type: string, payload: Uint8Array, cut: number = payload.length): Buffer {
  const header = Buffer.alloc(16);
  header.write(type, 0, 'latin1');
  header.writeUInt32LE(payload.length, 4);
  header.writeUInt32LE(cut, 12);
  return Buffer.concat([header, payload]);
}

/** Memory of a pretended job: `memory` from address 0 on, one PAGE frame per MiB, cut at 64 KiB of address. */
export function* contextStream(memory: Uint8Array, metadata = 'facts'): Generator<Buffer> {
  yield frame('HEAD', Buffer.from('BLCRX\r\n\x1a'.padEnd(32, '\0'), 'latin1'));
  yield frame('META', Buffer.from(metadata));
  for (let address = 0; address < memory.length; address += WINDOW) {
    const data = memory.subarray(address, Math.min(address + WINDOW, memory.length));
    const prefix = Buffer.alloc(16);
    prefix.writeBigUInt64LE(BigInt(address));
    yield frame('PAGE', Buffer.concat([prefix, data]), 16 + 65_536);
  }
  yield frame('TRLR', Buffer.alloc(24));
}

export function randomMemory(bytes: number): Buffer {
  return randomFillSync(Buffer.alloc(bytes));
}

/** Overwrites `count` pages: neighbours from a random place on, or scattered at random. */
export function dirty(memory: Buffer, count: number, where: 'area' | 'scattered'): void {
  const pages = memory.length / PAGE;
  const first = Math.floor(Math.random() * (pages - count));
  for (let i = 0; i < count; i++) {
    const page = where === 'area' ? first + i : Math.floor(Math.random() * pages);
    randomFillSync(memory, page * PAGE, PAGE);
  }
}
