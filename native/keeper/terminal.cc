#include "terminal.h"

#include <fcntl.h>
#include <unistd.h>

namespace blcr {

Terminal::Terminal() : tty_(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)), home_(::getpgrp()) {}

bool Terminal::isHeldBy(pid_t group) const { return tty_ && ::tcgetpgrp(tty_.get()) == group; }

void Terminal::enterJobGroup() const {
  const bool foreground = isForeground();
  ::setpgid(0, 0);
  if (foreground) giveTo(::getpid());
}

void Terminal::giveTo(pid_t group) const { ::tcsetpgrp(tty_.get(), group); }

void Terminal::takeBack() const { ::tcsetpgrp(tty_.get(), home_); }

}  // namespace blcr
