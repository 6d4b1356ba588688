// Directories that were removed while the job was in them, or had them open.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "image/model.h"
#include "restore/restore.h"

namespace blcr {

/** They get their permissions when this goes; until then their owner may do everything. */
class RemovedDirectories {
 public:
  RemovedDirectories() = default;
  RemovedDirectories(const RemovedDirectories&) = delete;
  RemovedDirectories& operator=(const RemovedDirectories&) = delete;
  ~RemovedDirectories();

  /** Makes all that `image` names where they were, one in the other where they were so, and removes them again. Where there is no place for
   * one any more, it is an empty directory from elsewhere: nothing but its name differs. */
  [[nodiscard]] Status make(const image::Image& image, const RestoreRequest& request);

  /** A path by which that directory can be opened for some time; empty = it was not removed. */
  [[nodiscard]] std::string pathOf(const std::string& recorded) const;

 private:
  struct Removed {
    UniqueFd fd;
    mode_t mode;
  };
  std::map<std::string, Removed> all_;  // by recorded path, " (deleted)" included
};

}  // namespace blcr
