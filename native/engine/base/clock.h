// Clocks as plain nanoseconds.
#pragma once

#include <time.h>

#include <cstdint>

namespace blcr {

/** Nanoseconds of `clock` (CLOCK_*), 0 when the kernel does not know it. */
inline int64_t nowNs(clockid_t clock = CLOCK_MONOTONIC) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return int64_t(time.tv_sec) * 1000000000 + time.tv_nsec;
}

inline uint64_t microsecondsSince(int64_t startNs) { return uint64_t(nowNs() - startNs) / 1000; }

inline void sleepUs(long microseconds) {
  const timespec time{microseconds / 1000000, (microseconds % 1000000) * 1000};
  ::nanosleep(&time, nullptr);
}

}  // namespace blcr
