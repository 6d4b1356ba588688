// Job control: what a shell does for its jobs, the keeper does for its one.
#pragma once

#include <sys/types.h>

#include "base/unique_fd.h"

namespace blcr {

/** The controlling terminal of the keeper, if it has one. */
class Terminal {
 public:
  Terminal();
  explicit operator bool() const { return bool(tty_); }
  /** In the job's first process, between fork and exec, signals blocked: a process group of its own, in the foreground when the keeper was.
   * Async-signal-safe. */
  void enterJobGroup() const;
  /** The job has stopped (^Z): takes the terminal back and stops the keeper too, so that the shell sees it; returns when continued. */
  void stopWith(pid_t group) const;
  /** Lets the job's group continue, in the foreground when the shell has put the keeper there. */
  void continueJob(pid_t group) const;

 private:
  UniqueFd tty_;
};

}  // namespace blcr
