/** Stores of checkpoints: directories and Chirp servers. */
export { openStore } from './open-store.ts';
export type * from './types.ts';
