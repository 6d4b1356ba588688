#include "launch.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace blcr {

namespace {

/** The child's part; reports errno through the pipe when it fails. */
[[noreturn]] void becomeJob(char* const* arguments, const SignalSettings& settings, const Terminal& terminal, pid_t keeper, int report) {
  if (terminal) {
    terminal.enterJobGroup();
  } else {
    ::setsid();
  }
  // 1. Ask to be killed with the keeper (kept across exec). 2. Look whether it is too late for that to happen.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != keeper) ::_exit(127);
  settings.giveBack();
  ::execvp(arguments[0], arguments);
  const int error = errno;
  while (::write(report, &error, sizeof error) < 0 && errno == EINTR) continue;
  ::_exit(127);
}

}  // namespace

Result<pid_t> launch(char* const* arguments, const SignalSettings& settings, const Terminal& terminal) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return systemError("make a pipe");
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  const pid_t keeper = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return systemError("fork");
  if (pid == 0) becomeJob(arguments, settings, terminal, keeper, writing.get());
  writing.reset();
  int error = 0;
  ssize_t got = 0;
  while ((got = ::read(reading.get(), &error, sizeof error)) < 0 && errno == EINTR) continue;
  if (got != ssize_t(sizeof error)) return pid;  // closed by exec
  ::waitpid(pid, nullptr, 0);
  errno = error;
  return systemError(arguments[0]);
}

}  // namespace blcr
