/** Events and answers for machines. */

import { formatRecord } from '../job/event-log.ts';
import type { JobEvent } from '../job/events.ts';

export const formatJson = (event: JobEvent): string => formatRecord(event);

export const printJson = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};
