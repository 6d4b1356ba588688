/** The program `blcr`; bin/blcr starts it. */

import { start } from './start.ts';

await start('blcr', process.argv.slice(2));
