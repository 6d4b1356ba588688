#include "protocol/exit_status.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace blcr {

void endLike(int status) {
  if (!WIFSIGNALED(status)) ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 70);
  const int number = WTERMSIG(status);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0);  // a core_pattern that is a pipe ignores the limit
  ::signal(number, SIG_DFL);
  sigset_t mask;
  ::sigemptyset(&mask);
  ::sigaddset(&mask, number);
  ::kill(::getpid(), number);
  ::sigprocmask(SIG_UNBLOCK, &mask, nullptr);
  ::_exit(128 + number);
}

}  // namespace blcr
