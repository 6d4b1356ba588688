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

}  // namespace blcr
