#!/usr/bin/env node
/** The program `blcr`. Small on purpose: signals are taken before anything else is loaded. */

import { hasJob } from './invocation.ts';
import { captureSignals } from './signals.ts';

if (hasJob('blcr', process.argv.slice(2))) captureSignals();
const { dispatch } = await import('./dispatch.ts');
await dispatch(process.argv.slice(2));
