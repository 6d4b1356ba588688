// pidfds of processes that have ended.
#pragma once

#include <sys/types.h>

#include <map>

#include "base/result.h"
#include "base/unique_fd.h"
#include "image/model.h"

namespace blcr {

/** Makes processes that end at once, one for all pidfds of the same (OpenFile::object), and has them reaped when it goes. */
class DeadProcesses {
 public:
  DeadProcesses() = default;
  DeadProcesses(const DeadProcesses&) = delete;
  DeadProcesses& operator=(const DeadProcesses&) = delete;
  ~DeadProcesses();

  [[nodiscard]] Result<UniqueFd> open(const image::OpenFile& file);

 private:
  std::multimap<uint32_t, pid_t> all_;
};

/** A file of /proc/N, N being a process that has ended: opened by one that has that number for a moment, where numbers can be chosen. */
[[nodiscard]] Result<UniqueFd> openProcOfDead(const image::OpenFile& file, int flags);

}  // namespace blcr
