#include "borrowed_stdio.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/features.h"

namespace blcr {

BorrowedStdio borrowStdio(pid_t pid) {
  BorrowedStdio borrowed;
  if (!featureAllowed("pidfd")) return borrowed;
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return borrowed;
  for (int number = 0; number < 3; ++number) {
    UniqueFd copy(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), number, 0)));
    struct stat status{};
    const bool outside =
        copy && ::fstat(copy.get(), &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode) || S_ISSOCK(status.st_mode));
    if (outside) borrowed[size_t(number)] = std::move(copy);
  }
  return borrowed;
}

}  // namespace blcr
