// Job control: what a shell does for its jobs, the keeper does for its one.
#pragma once

#include <sys/types.h>

#include "base/unique_fd.h"

namespace blcr {

/** The controlling terminal of the keeper, if it has one, and the process group that the shell knows. */
class Terminal {
 public:
  /** Remembers the caller's process group as the one that the shell moves between foreground and background. */
  Terminal();
  explicit operator bool() const { return bool(tty_); }
  /** The shell's group has the terminal. */
  [[nodiscard]] bool isForeground() const { return isHeldBy(home_); }
  [[nodiscard]] bool isHeldBy(pid_t group) const;
  /** In the job's first process, between fork and exec, signals blocked: a process group of its own, in the foreground when the keeper was.
   * Async-signal-safe. */
  void enterJobGroup() const;
  /** Puts the job's group into the foreground. SIGTTOU must be blocked. */
  void giveTo(pid_t group) const;
  /** Puts the shell's group there. */
  void takeBack() const;

 private:
  UniqueFd tty_;
  pid_t home_;
};

}  // namespace blcr
