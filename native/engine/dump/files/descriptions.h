// Open file descriptions: which descriptors of the job share one.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "dump/files/lending.h"
#include "proc/fdinfo.h"

namespace blcr {

/** One descriptor of one process, as found. */
struct FoundDescriptor {
  pid_t pid = 0;
  pid_t task = 0;  // whose it is looked at as, FrozenProcess::speaker()
  int fd = 0;
  std::string link;  // "pipe:[12]", "/path", "anon_inode:[eventpoll]", …
  struct stat info{};
  FdInfo details;
  uint32_t description = 0;  // index of its open file description, filled by groupDescriptions
  size_t known = kNowhere;   // index of an earlier one of the same description, as far as findDescriptors has noticed

  std::shared_ptr<const UniqueFd> lent;  // one of this process, where they cannot be compared or borrowed otherwise

  static constexpr size_t kNowhere = SIZE_MAX;

  [[nodiscard]] std::string name() const {
    if (pid == ::getpid()) return "a descriptor under way in a socket (" + link + ")";
    return "process " + std::to_string(pid) + " descriptor " + std::to_string(fd) + " (" + link + ")";
  }
};

/** One descriptor of a frozen process, or of this one. */
[[nodiscard]] Result<FoundDescriptor> describeDescriptor(pid_t pid, pid_t task, int fd);

/**
 * All descriptors of frozen processes, one process after the other. Most of what the later ones of a tree hold was inherited: what has the
 * number of an earlier descriptor and the same description is recognised by one comparison, and not looked at as a whole again.
 */
class DescriptorFinder {
 public:
  /** `lending`: as long as what is found, or nullptr where descriptors can be compared and borrowed. */
  DescriptorFinder(std::vector<FoundDescriptor>& into, Lending* lending) : into_(into), lending_(lending) {}
  [[nodiscard]] Status add(FrozenProcess& process);

 private:
  [[nodiscard]] Status addOne(const FoundDescriptor& bare);
  /** Index of one that has the same description, or kNowhere. */
  [[nodiscard]] Result<size_t> findSame(const FoundDescriptor& bare);

  std::vector<FoundDescriptor>& into_;
  Lending* lending_;
  std::map<int, std::pair<size_t, size_t>> seen_;  // by number: the first, and the newest of another description
};

/**
 * Numbers the descriptions in order of first appearance and returns their number. Only descriptors that agree in inode, flags and position
 * are compared: by kcmp(KCMP_FILE), whose results are an order, n log n calls; or as DescriptionSet does it, when they were lent.
 */
[[nodiscard]] Result<uint32_t> groupDescriptions(std::vector<FoundDescriptor>& descriptors);

/** True when they are the same description. */
[[nodiscard]] Result<bool> isSameDescription(const FoundDescriptor& one, const FoundDescriptor& other);

/** A descriptor of the same description in this process: pidfd_getfd, which consumes nothing and opens nothing anew. ENOSYS before
 * Linux 5.6 or with BLCR_DISABLE=pidfd. `task`: a process, or one of its threads, EINVAL before Linux 6.9. */
[[nodiscard]] Result<UniqueFd> borrowDescriptor(pid_t pid, pid_t task, int fd);
/** The same, or another one of what was lent. */
[[nodiscard]] Result<UniqueFd> borrowDescriptor(const FoundDescriptor& found);

/** As borrowDescriptor, or else a new description of the same object through /proc/PID/fd with `flags` and O_NONBLOCK. */
[[nodiscard]] Result<UniqueFd> reachDescriptor(const FoundDescriptor& found, int flags);

}  // namespace blcr
