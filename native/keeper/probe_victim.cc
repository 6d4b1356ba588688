// The program that the probe checkpoints: two threads that count, one of which tells.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "base/clock.h"
#include "modes.h"

namespace blcr {

int probeVictim() {
  constexpr unsigned kLifetimeSeconds = 120;  // should everybody forget it
  constexpr long kPauseUs = 2000;
  ::alarm(kLifetimeSeconds);
  std::atomic<unsigned long> other = 0;
  std::thread([&other] {
    for (;;) {
      ++other;
      sleepUs(kPauseUs);
    }
  }).detach();
  for (unsigned long own = 1;; ++own) {
    if (::dprintf(STDOUT_FILENO, "%lu %lu\n", own, other.load()) < 0) return 1;
    sleepUs(kPauseUs);
  }
}

}  // namespace blcr
