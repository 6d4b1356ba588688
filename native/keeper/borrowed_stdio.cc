#include "borrowed_stdio.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <string>

#include "dump/files/descriptions.h"
#include "proc/fdinfo.h"

namespace blcr {
namespace {

bool isStream(mode_t mode) { return S_ISFIFO(mode) || S_ISCHR(mode) || S_ISSOCK(mode); }

/** Empty when it is none that a restart would replace, or cannot be had. */
UniqueFd borrow(pid_t pid, int number) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(number);
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0 || !isStream(status.st_mode)) return {};
  auto borrowed = borrowDescriptor(pid, number);
  if (borrowed) return *std::move(borrowed);
  const auto details = readFdInfo(pid, number);
  if (!details) return {};
  return UniqueFd(::open(path.c_str(), (details.value().flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

}  // namespace

BorrowedStdio borrowStdio(pid_t pid) {
  BorrowedStdio borrowed;
  for (int number = 0; number < 3; ++number) borrowed[size_t(number)] = borrow(pid, number);
  return borrowed;
}

}  // namespace blcr
