// Guard of a job whose snapshot is being streamed: it is stopped before its copied pages make memory run out.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/thread.h"
#include "base/unique_fd.h"

namespace blcr {

/** When memory counts as short. */
struct WatchLimits {
  uint64_t lowWater = 0;         // hold the job when less than this is available
  uint64_t budget = UINT64_MAX;  // or when the processes had page faults worth this many bytes: at most that much was copied
};

/**
 * A thread that looks at the available memory every 20 ms (about 60 us each time) and, when it runs short, stops the processes until the
 * guard goes: a snapshot costs memory only while the original writes. The thread is the tracer of that stop; it never waits for children,
 * so a wait loop elsewhere in this process may see the stops (see isHolding) and need not care.
 */
class MemoryWatch {
 public:
  MemoryWatch(std::vector<pid_t> processes, WatchLimits limits);
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;
  [[nodiscard]] Status start();
  /** Lets the processes go on. */
  ~MemoryWatch();

  [[nodiscard]] bool isHolding() const { return holding_.load(); }
  /** Ends the watch, lets the processes go on, and tells for how long they were held, microseconds. */
  uint64_t stop();

 private:
  void run();
  [[nodiscard]] bool isShort();
  void hold();
  void release();
  std::vector<pid_t> processes_;
  WatchLimits limits_;
  uint64_t faultsBefore_ = 0;
  std::vector<pid_t> held_;
  int64_t holdStart_ = 0;
  std::atomic<bool> holding_{false};
  uint64_t heldUs_ = 0;  // the thread's until it was joined
  UniqueFd end_;
  Thread thread_;
};

}  // namespace blcr
