/** Warnings that come when the job and its log are closed already: to whoever reads the reports, and into the job's log. */

import { EventLog } from '../job/event-log.ts';
import type { JobEvent } from '../job/events.ts';
import type { JobOptions } from '../job/options.ts';

export interface LateWarning {
  readonly code: string;
  readonly message: string;
  readonly consequence: string;
}

export function warnLate(
  report: (event: JobEvent) => void,
  { id, scratch }: Pick<JobOptions, 'id' | 'scratch'>,
  warning: LateWarning,
): void {
  const event: JobEvent = { event: 'warning', time: Date.now(), id, ...warning };
  report(event);
  new EventLog(scratch ?? process.cwd()).listener(event);
}
