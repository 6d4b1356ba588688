// Open file descriptions: which descriptors of the job share one.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "proc/fdinfo.h"

namespace blcr {

/** One descriptor of one process, as found. */
struct FoundDescriptor {
  pid_t pid = 0;
  int fd = 0;
  std::string link;  // "pipe:[12]", "/path", "anon_inode:[eventpoll]", …
  struct stat info{};
  FdInfo details;
  uint32_t description = 0;  // index of its open file description, filled by groupDescriptions

  [[nodiscard]] std::string name() const {
    if (pid == ::getpid()) return "a descriptor under way in a socket (" + link + ")";
    return "process " + std::to_string(pid) + " descriptor " + std::to_string(fd) + " (" + link + ")";
  }
};

/** One descriptor of a frozen process, or of this one. */
[[nodiscard]] Result<FoundDescriptor> describeDescriptor(pid_t pid, int fd);

/** All descriptors of a frozen process. */
[[nodiscard]] Status findDescriptors(pid_t pid, std::vector<FoundDescriptor>& into);

/**
 * Numbers the descriptions in order of first appearance and returns their number. Only descriptors that agree in inode, flags and position
 * are compared, by kcmp(KCMP_FILE), whose results are an order: n log n calls.
 */
[[nodiscard]] Result<uint32_t> groupDescriptions(std::vector<FoundDescriptor>& descriptors);

/** True when two descriptors (of any processes) are the same description. */
[[nodiscard]] bool isSameDescription(pid_t pid1, int fd1, pid_t pid2, int fd2);

/** A descriptor of the same description in this process: pidfd_getfd, which consumes nothing and opens nothing anew. ENOSYS before
 * Linux 5.6 or with BLCR_DISABLE=pidfd. */
[[nodiscard]] Result<UniqueFd> borrowDescriptor(pid_t pid, int fd);

/** As borrowDescriptor, or else a new description of the same object through /proc/PID/fd with `flags` and O_NONBLOCK. */
[[nodiscard]] Result<UniqueFd> reachDescriptor(pid_t pid, int fd, int flags);

}  // namespace blcr
