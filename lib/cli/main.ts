#!/usr/bin/env node
/** The program `blcr`. Small on purpose: signals are taken before anything else is loaded. */

import { captureSignals } from './signals.ts';

const command = process.argv[2];
if (command === 'run' || command === 'restart') captureSignals();
const { dispatch } = await import('./dispatch.ts');
await dispatch(process.argv.slice(2));
