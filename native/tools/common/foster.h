// Standing in for a child: its signals and its end are ours.
#pragma once

#include <signal.h>
#include <sys/types.h>

namespace blcr::tools {

/** Holds all signals back from its construction on; waitLike() then passes them to the child. */
class Foster {
 public:
  Foster();
  Foster(const Foster&) = delete;
  Foster& operator=(const Foster&) = delete;
  ~Foster();

  /** Passes signals to `child` until it ends, then ends the calling process alike: same exit status or same signal. */
  [[noreturn]] void waitLike(pid_t child) const;
  /** The signal mask of before. */
  [[nodiscard]] const sigset_t& before() const { return before_; }

 private:
  sigset_t before_;
};

}  // namespace blcr::tools
