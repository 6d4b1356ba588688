#include "common/foster.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "protocol/exit_status.h"

namespace blcr::tools {

Foster::Foster() {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before_);
}

Foster::~Foster() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

void Foster::waitLike(pid_t child) const {
  sigset_t all;
  ::sigfillset(&all);
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(child, &status, WNOHANG | WUNTRACED);
    if (ended == child && WIFSTOPPED(status)) {
      ::kill(::getpid(), SIGSTOP);  // for the shell to see; its SIGCONT is passed on
      continue;
    }
    if (ended == child) endLike(status);
    if (ended < 0 && errno == ECHILD) ::_exit(255);  // SIGCHLD was ignored by whoever started us
    siginfo_t info{};
    const int number = ::sigwaitinfo(&all, &info);
    if (number <= 0 || number == SIGCHLD) continue;
    // Typed at the terminal: the keeper, being in the same process group, has got it itself.
    if (info.si_code == SI_KERNEL) continue;
    ::kill(child, number);
  }
}

}  // namespace blcr::tools
