import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { NativeBinding } from '../native/binding.ts';
import { answerStoreRequests, type StoreRequestHandler } from './store-requests.ts';

/**
 * A channel whose own end this process alone holds. The keeper has the other: end-of-file there means that this process is gone, however it
 * went, and the job is killed as if the node had died. With a handler the keeper asks through it for checkpoints into the job's store.
 */
export class Lifeline {
  /** For the keeper. Closed here by handOver. */
  readonly forKeeper: number;
  readonly answers: boolean;
  #close: (() => void) | undefined;

  constructor(binding: NativeBinding, handler?: StoreRequestHandler) {
    this.answers = handler !== undefined;
    const [forKeeper, own] = this.answers ? binding.createSocketPair() : binding.createPipe();
    this.forKeeper = forKeeper;
    this.#close = () => closeSync(own);
    if (handler === undefined) return;
    const socket = new Socket({ fd: own, readable: true, writable: true });
    socket.unref(); // the job's end is waited for, not the keeper's questions
    answerStoreRequests(socket, handler);
    this.#close = () => socket.destroy();
  }

  /** The keeper has its copy. */
  handOver(): void {
    closeSync(this.forKeeper);
  }

  /** Kills the job when it still runs; without effect the second time. */
  cut(): void {
    this.#close?.();
    this.#close = undefined;
  }

  discard(): void {
    this.handOver();
    this.cut();
  }
}
