/** The public API. Importing it loads no native code: the first request does. */

export type { Capabilities } from './checkpoint/capabilities.ts';
export { capabilitiesOf, describeLimits } from './checkpoint/capabilities.ts';
export { openProvider } from './checkpoint/provider.ts';
export { requestCheckpoint, startCheckpoint } from './checkpoint/request.ts';
export { requestRestart, startRestart } from './checkpoint/restart.ts';
export type * from './checkpoint/types.ts';
export * from './errors.ts';
export type { LibraryInfo } from './native/binding.ts';
