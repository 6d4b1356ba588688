#include "borrowed_stdio.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <string>

#include "dump/files/descriptions.h"
#include "proc/fdinfo.h"
#include "proc/status.h"

namespace blcr {
namespace {

bool isStream(mode_t mode) { return S_ISFIFO(mode) || S_ISCHR(mode) || S_ISSOCK(mode); }

/** Empty when it is none that a restart would replace, or cannot be had. */
UniqueFd borrow(pid_t pid, pid_t task, int number) {
  const std::string path = "/proc/" + std::to_string(task) + "/fd/" + std::to_string(number);
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0 || !isStream(status.st_mode)) return {};
  auto borrowed = borrowDescriptor(pid, task, number);
  if (borrowed) return *std::move(borrowed);
  const auto details = readFdInfo(task, number);
  if (!details) return {};
  return UniqueFd(::open(path.c_str(), (details.value().flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

}  // namespace

BorrowedStdio borrowStdio(pid_t pid) {
  BorrowedStdio borrowed;
  const pid_t task = speakerOf(pid);
  for (int number = 0; number < 3; ++number) borrowed[size_t(number)] = borrow(pid, task, number);
  return borrowed;
}

}  // namespace blcr
