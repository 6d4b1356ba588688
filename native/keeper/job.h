// A running job: its root, everything below it, and the requests for it. The same before and after a restart.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "listener.h"
#include "loop.h"
#include "requests.h"
#include "signals.h"

namespace blcr {

/** What a keeper with a controlling terminal does when its job stops (^Z) and continues; empty without one. */
struct JobControl {
  std::function<void()> stopped, continued;
};

class Job {
 public:
  /** `facts.root` is a child of the calling process. All signals must be blocked. */
  Job(JobFacts facts, JobControl control);

  [[nodiscard]] Loop& loop() { return loop_; }
  [[nodiscard]] Requests& requests() { return requests_; }

  /** Takes requesters from `listener` (borrowed). */
  void serve(Listener& listener);
  /** The job ends, killed, when `fd` (borrowed) reports its end-of-file. @param answers What comes from it are answers to requests of the
   * job for a checkpoint into its store, which are sent to it. */
  void tieTo(int fd, bool answers);
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
  JobControl control_;
  std::optional<int> status_;
  Loop loop_;
  Requests requests_;
};

}  // namespace blcr
