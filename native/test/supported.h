// Rows of docs/SUPPORTED.md, declared where the test is: scripts/supported.mjs reads these declarations out of the test sources.
#pragma once

/**
 * One kind of thing that a program may hold. Written with literals only, as `Supported{"test", "area", "resource", "outcome"}`: area is
 * tasks, memory, descriptors, time and signals, registers or hosts; outcome is "restored", or "refused: " and words of the message.
 */
struct Supported {
  const char* test;
  const char* area;
  const char* resource;
  const char* outcome;
};
