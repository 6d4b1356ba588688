#!/usr/bin/env node
/** The program `blcr_wrapper`: the classic arguments, mapped to `blcr run`, or a subcommand of `blcr`. */

import { hasJob } from './invocation.ts';
import { captureSignals } from './signals.ts';

if (hasJob('blcr_wrapper', process.argv.slice(2))) captureSignals();
const { dispatchClassic } = await import('./dispatch.ts');
await dispatchClassic(process.argv.slice(2));
