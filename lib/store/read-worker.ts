/** Worker thread of a read. */
import { parentPort, workerData } from 'node:worker_threads';
import type { ReadInit, ToReadWorker } from './read-protocol.ts';
import { Reading } from './reading.ts';

const reading = new Reading(workerData as ReadInit, (message) => parentPort?.postMessage(message));
parentPort?.on('message', (message: ToReadWorker) => reading.request(message));
