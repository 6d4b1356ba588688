// Which descriptors are one open file description, where kcmp may not be asked.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace blcr {

/**
 * Descriptors of this process, one of each description. What can be polled is told apart by an epoll instance, whose entries are a
 * description and a number; nothing changes by that, and nobody else can be in the way. Files and directories are told apart by a mark
 * (F_SETSIG), which stands in the description, has no effect while nobody is to be signalled about it, and is put back.
 */
class DescriptionSet {
 public:
  /**
   * The index that an equal one was added with, or `index` when it is the first. O_PATH descriptors are never equal: they share nothing.
   * kErrorNoSupport when somebody is to be signalled about a file (F_SETOWN, leases), so that it cannot be marked; kErrorTemporary when
   * somebody else marks it at the same time. The descriptor must stay open as long as the set is used.
   */
  [[nodiscard]] Result<size_t> add(int fd, size_t index);

 private:
  /** As add(); no value when it cannot be polled. */
  [[nodiscard]] Result<size_t> addPolled(int fd, size_t index);
  [[nodiscard]] Result<size_t> findPolled(size_t count) const;
  [[nodiscard]] Result<size_t> addMarked(int fd, size_t index);

  UniqueFd epoll_, slot_;  // the number that everything is watched under
  std::vector<size_t> polled_;
  std::map<size_t, int> marked_;
};

}  // namespace blcr
