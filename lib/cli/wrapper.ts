#!/usr/bin/env node
/** The program `blcr_wrapper`: the classic arguments, mapped to `blcr run`. */

import { captureSignals } from './signals.ts';

captureSignals();
const { dispatchClassic } = await import('./dispatch.ts');
await dispatchClassic(process.argv.slice(2));
