// futex(2), for code that also runs in signal handlers.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <ctime>

namespace blcr::libcr {

using Word = std::atomic<uint32_t>;
static_assert(sizeof(Word) == 4 && Word::is_always_lock_free);

/** Waits while `word` has `value`, at most `milliseconds` (-1 = no limit), perhaps for a shorter time. Leaves errno alone. */
inline void waitWhile(Word& word, uint32_t value, int milliseconds = -1) {
  const timespec limit{milliseconds / 1000, (milliseconds % 1000) * 1000000L};
  const int before = errno;
  ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, milliseconds < 0 ? nullptr : &limit, nullptr, 0);
  errno = before;
}

inline void wakeAll(Word& word) {
  const int before = errno;
  ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
  errno = before;
}

}  // namespace blcr::libcr
