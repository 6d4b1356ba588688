// /proc/PID/fdinfo of an io_uring.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace blcr {

/** Source: io_uring/fdinfo.c of Linux 5.16 and later. */
struct RingInfo {
  bool told = false;         // the lock was free: otherwise Linux 6.16 and later tell nothing, older ones less
  bool hasCounters = false;  // Linux 5.16
  uint32_t callMask = 0, resultMask = 0;
  uint32_t callHead = 0, callTail = 0, callsTaken = 0;          // in memory; taken by the kernel
  uint32_t resultHead = 0, resultTail = 0, resultsWritten = 0;  // in memory; written by the kernel
  int64_t thread = -1;                                          // IORING_SETUP_SQPOLL
  uint32_t files = 0, buffers = 0;                              // registered
  bool personalities = false, busyPolling = false;
  uint32_t armed = 0, overflown = 0;            // requests that wait for readiness; completions without room
  uint32_t callsListed = 0, resultsListed = 0;  // of what is in the queues: nothing without an array of indices
  bool wideCalls = false, wideResults = false;  // as far as some are listed
};

/** EINVAL for malformed text. */
[[nodiscard]] Result<RingInfo> parseRingInfo(std::string_view text);
/** Of a descriptor of this process. */
[[nodiscard]] Result<RingInfo> readRingInfo(int fd);

}  // namespace blcr
