// A running job: its root, everything below it, and the requests for it. The same before and after a restart.
#pragma once

#include <functional>
#include <optional>

#include "listener.h"
#include "loop.h"
#include "requests.h"
#include "signals.h"
#include "terminal.h"

namespace blcr {

class Job {
 public:
  /** `root` is a child of the calling process; `terminal` may be nullptr. All signals must be blocked. */
  Job(pid_t root, const Terminal* terminal);

  [[nodiscard]] Loop& loop() { return loop_; }
  [[nodiscard]] Requests& requests() { return requests_; }

  /** Takes requesters from `listener` (borrowed). */
  void serve(Listener& listener);
  /** The job ends, killed, when `fd` (borrowed) reports its end-of-file. */
  void tieTo(int fd);
  /** Kills everything; run() then returns. */
  void kill();

  /** Until the root has ended; then whatever is left below the keeper is killed. Returns the root's wait status. */
  [[nodiscard]] Result<int> run();

 private:
  void onSignals(int descriptor);
  void onSignal(const signalfd_siginfo& info);
  void reap();
  void onChild(pid_t pid, int status);

  pid_t root_;
  pid_t group_ = 0;  // the root's process group when job control is ours
  const Terminal* terminal_;
  std::optional<int> status_;
  Loop loop_;
  Requests requests_;
};

}  // namespace blcr
