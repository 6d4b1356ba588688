#!/usr/bin/env node
/** The program `blcr`; bin/blcr starts it. (The first line is for whoever executes this file: a shell would run it as a script of its own.) */

import { start } from './start.ts';

void start('blcr', process.argv.slice(2));
