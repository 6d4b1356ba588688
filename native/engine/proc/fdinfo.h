// /proc/PID/fdinfo: what the kernel tells of an open descriptor.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace blcr {

/** One file watched by an epoll instance. */
struct EpollWatch {
  int32_t fd = 0;
  uint32_t events = 0;
  uint64_t data = 0;
  uint64_t inode = 0;
  uint32_t device = 0;  // as the kernel numbers it: major << 20 | minor
};

/** One watch of an inotify instance. */
struct InotifyMark {
  int32_t number = 0;
  uint64_t inode = 0;
  uint32_t device = 0;  // as the kernel numbers it: major << 20 | minor
  uint32_t mask = 0;
};

/** /proc/PID/fdinfo/FD. Members of other kinds of files stay 0. Source: proc(5). */
struct FdInfo {
  uint64_t position = 0;
  int32_t flags = 0;  // open(2) flags, O_CLOEXEC included
  uint64_t eventCount = 0;
  std::optional<bool> semaphore = {};  // kernels before 6.6 do not say
  uint64_t sigmask = 0;
  int32_t clock = 0;
  uint32_t timerFlags = 0;
  int64_t valueNs = 0, intervalNs = 0;
  uint64_t ticks = 0;
  std::vector<EpollWatch> watches;
  std::vector<InotifyMark> marks;
  int32_t process = 0;             // pidfd: -1 when it is gone
  std::vector<std::string> locks;  // "FLOCK WRITE pid start end", as in /proc/locks without number, mode and device
};

/** EINVAL for malformed text. */
[[nodiscard]] Result<FdInfo> parseFdInfo(std::string_view text);
[[nodiscard]] Result<FdInfo> readFdInfo(pid_t pid, int fd);

/** Open descriptors of a process, ascending. */
[[nodiscard]] Result<std::vector<int>> listDescriptors(pid_t pid);

}  // namespace blcr
