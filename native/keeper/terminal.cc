#include "terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

namespace blcr {

Terminal::Terminal() : tty_(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {}

void Terminal::enterJobGroup() const {
  const bool foreground = ::tcgetpgrp(tty_.get()) == ::getpgrp();
  ::setpgid(0, 0);
  if (foreground) ::tcsetpgrp(tty_.get(), ::getpid());
}

void Terminal::stopWith(pid_t group) const {
  if (::tcgetpgrp(tty_.get()) == group) ::tcsetpgrp(tty_.get(), ::getpgrp());
  ::kill(::getpid(), SIGSTOP);
}

void Terminal::continueJob(pid_t group) const {
  if (::tcgetpgrp(tty_.get()) == ::getpgrp()) ::tcsetpgrp(tty_.get(), group);
  ::kill(-group, SIGCONT);
}

}  // namespace blcr
