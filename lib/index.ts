/** The public API. Importing it loads no native code: the first request does. */

export type { Capabilities } from './checkpoint/capabilities.ts';
export { capabilitiesOf, describeLimits } from './checkpoint/capabilities.ts';
export { openProvider } from './checkpoint/provider.ts';
export { requestCheckpoint, startCheckpoint } from './checkpoint/request.ts';
export { requestRestart, startRestart } from './checkpoint/restart.ts';
export { checkpointSelf } from './checkpoint/self.ts';
export type * from './checkpoint/types.ts';
export { ChirpClient } from './chirp/client.ts';
export * from './errors.ts';
export type { RunningProcess } from './job/engine.ts';
export type {
  CheckpointEvent,
  JobEvent,
  JobEventMap,
  JobEventName,
  JobListener,
  StartedEvent,
  WarningEvent,
} from './job/events.ts';
export type { JobEnd } from './job/exit-status.ts';
export { EXIT_CODES } from './job/exit-status.ts';
export { Job } from './job/job.ts';
export type { LaunchOptions } from './job/launch-program.ts';
export { launchProgram } from './job/launch-program.ts';
export type { JobOptions, StdioEntry } from './job/options.ts';
export type { LibraryInfo } from './native/binding.ts';
export { openStore } from './store/index.ts';
export type * from './store/types.ts';
