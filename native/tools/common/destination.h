// Where cr_checkpoint writes.
#pragma once

#include <string>

#include "base/unique_fd.h"

namespace blcr::tools {

enum class Replacement { kAtomic, kBackup, kClobber, kNoClobber };

/**
 * A context file in the making. With kAtomic and kBackup (regular targets only) the content goes into a temporary file beside it, which
 * takes the name in commit(); FIFOs, devices and descriptors are written directly. An uncommitted temporary file is removed.
 */
class Destination {
 public:
  /** False, with error(), when it cannot be opened: EEXIST with kNoClobber. */
  [[nodiscard]] bool openFile(const std::string& path, Replacement replacement, const std::string& backup);
  void useDescriptor(int fd);
  Destination() = default;
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;
  ~Destination();

  [[nodiscard]] int fd() const { return borrowed_ >= 0 ? borrowed_ : file_.get(); }
  [[nodiscard]] int error() const { return error_; }
  /** Makes the content durable when `sync`, then gives it its name. */
  [[nodiscard]] bool commit(bool sync);
  /** Leaves everything as it is: the names belong to another process now. */
  void disown() { temporary_.clear(); }

 private:
  [[nodiscard]] bool open(const std::string& path, int flags);
  UniqueFd file_;
  int borrowed_ = -1;
  std::string path_, temporary_, backup_;
  int error_ = 0;
};

}  // namespace blcr::tools
