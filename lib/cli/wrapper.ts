#!/usr/bin/env node
/** The program `blcr_wrapper`: the classic arguments, mapped to `blcr run`, or a subcommand of `blcr`. bin/blcr_wrapper starts it. (The first line: as in main.ts.) */

import { start } from './start.ts';

void start('blcr_wrapper', process.argv.slice(2));
