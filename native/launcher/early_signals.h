// Signals that arrive while the executable unpacks itself: the job's, or at least not this program's to die of.
#pragma once

#include <signal.h>

#include <string>

namespace blcr::launcher {

/** Holds signals up from its construction until `take`. */
class EarlySignals {
 public:
  EarlySignals();
  /** Lets signals through again. Returns the numbers of those that came, with commas between them: somebody must raise them anew. */
  std::string take();

 private:
  sigset_t before_;
  std::string came_;
};

}  // namespace blcr::launcher
