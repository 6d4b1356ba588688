/*
 * Options of the Node that a wrapper is. scripts/build-wrapper.mjs reads them here: compiled code that was made under others is of no use.
 * Little memory for a process that mostly waits: one thread of V8's own, a small young generation. And no word about itself on the job's
 * stderr.
 */
#pragma once

#define BLCR_NODE_OPTIONS "--v8-pool-size=1 --max-semi-space-size=2 --no-warnings"
