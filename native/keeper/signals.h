// Signals of the keeper and of its job.
#pragma once

#include <signal.h>
#include <sys/signalfd.h>

#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"

namespace blcr {

/** The signal settings that the keeper was started with: the job gets them, the keeper has its own. */
class SignalSettings {
 public:
  /** Remembers them, then makes the keeper's: everything blocked (to be read from descriptor()) but SIGPIPE, which is ignored. */
  [[nodiscard]] static SignalSettings takeOver();
  /** In the job's first process between fork and exec: puts back what takeOver() found. Async-signal-safe. */
  void giveBack() const;

 private:
  sigset_t mask_{};
  sigset_t ignored_{};
};

/** Default actions and nothing blocked but SIGCHLD: a keeper that is still restarting a job just dies when it is told to. */
void useDefaultSignals();
/** Everything blocked but SIGPIPE, which is ignored. */
void blockSignals();

/** signalfd of everything that is blocked. */
[[nodiscard]] Result<UniqueFd> signalDescriptor();
/** The next signal, nothing when the queue is empty. */
[[nodiscard]] std::optional<signalfd_siginfo> nextSignal(int descriptor);

/** Delivers a signal as it came: one from sigqueue(3) keeps its value. */
void deliverSignal(pid_t pid, int number, int code, uint64_t value);

}  // namespace blcr
