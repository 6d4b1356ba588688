#include "signals.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace blcr {

SignalSettings SignalSettings::takeOver() {
  SignalSettings found;
  ::sigprocmask(SIG_SETMASK, nullptr, &found.mask_);
  ::sigemptyset(&found.ignored_);
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action{};
    if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) ::sigaddset(&found.ignored_, number);
  }
  useDefaultSignals();
  blockSignals();
  return found;
}

void SignalSettings::giveBack() const {
  struct sigaction action{};
  for (int number = 1; number < NSIG; ++number) {
    action.sa_handler = ::sigismember(&ignored_, number) == 1 ? SIG_IGN : SIG_DFL;
    ::sigaction(number, &action, nullptr);
  }
  ::sigprocmask(SIG_SETMASK, &mask_, nullptr);
}

void useDefaultSignals() {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t mask;
  ::sigemptyset(&mask);
  ::sigaddset(&mask, SIGCHLD);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
}

void blockSignals() {
  // SIGPIPE stays out: a blocked signal is queued even when it is ignored, and the keeper's own broken pipes would go to the job.
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t mask;
  ::sigfillset(&mask);
  ::sigdelset(&mask, SIGPIPE);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
}

Result<UniqueFd> signalDescriptor() {
  sigset_t mask;
  ::sigfillset(&mask);
  ::sigdelset(&mask, SIGPIPE);
  UniqueFd fd(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return systemError("make a signal descriptor");
  return fd;
}

std::optional<signalfd_siginfo> nextSignal(int descriptor) {
  signalfd_siginfo info{};
  if (::read(descriptor, &info, sizeof info) != ssize_t(sizeof info)) return std::nullopt;
  return info;
}

void deliverSignal(pid_t pid, int number, int code, uint64_t value) {
  if (code == SI_QUEUE) {
    siginfo_t info{};
    info.si_signo = number;
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    info.si_value.sival_ptr = reinterpret_cast<void*>(value);
    if (::syscall(SYS_rt_sigqueueinfo, pid, number, &info) == 0) return;
  }
  ::kill(pid, number);
}

}  // namespace blcr
