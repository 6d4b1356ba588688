#include "early_signals.h"

#include <ctime>

namespace blcr::launcher {

namespace {

/** Those that ask a job for something. Left to Node, SIGUSR1 would open its debugger and the others would kill it. */
constexpr int kHeld[] = {SIGTERM, SIGUSR1, SIGUSR2, SIGINT, SIGHUP, SIGQUIT};

sigset_t heldSet() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : kHeld) ::sigaddset(&set, signal);
  return set;
}

}  // namespace

EarlySignals::EarlySignals() {
  const sigset_t held = heldSet();
  ::sigprocmask(SIG_BLOCK, &held, &before_);
}

std::string EarlySignals::take() {
  const sigset_t held = heldSet();
  const timespec now{};
  for (int signal = ::sigtimedwait(&held, nullptr, &now); signal > 0; signal = ::sigtimedwait(&held, nullptr, &now)) {
    if (!came_.empty()) came_ += ',';
    came_ += std::to_string(signal);
  }
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
  return came_;
}

}  // namespace blcr::launcher
