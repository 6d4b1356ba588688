#include "restore/tasks/dead_processes.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "proc/parse.h"
#include "restore/sockets/actor.h"

namespace blcr {

DeadProcesses::~DeadProcesses() {
  for (const auto& [_, pid] : all_) ::waitpid(pid, nullptr, 0);
}

Result<UniqueFd> DeadProcesses::open(const image::OpenFile& file) {
  auto known = file.object == image::kNone ? all_.end() : all_.find(file.object);
  if (known == all_.end()) {
    const pid_t child = pid_t(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    if (child == 0) ::_exit(0);
    if (child < 0) return systemError("pidfd");
    known = all_.emplace(file.object, child);
  }
  UniqueFd fd(int(::syscall(SYS_pidfd_open, known->second, file.flags & O_NONBLOCK)));
  if (!fd) return systemError("pidfd");
  return fd;
}

Result<UniqueFd> openProcOfDead(const image::OpenFile& file, int flags) {
  std::string_view rest = std::string_view(file.path).substr(std::min(file.path.size(), std::string_view("/proc/").size()));
  const auto number = takeNumber(rest, 10);
  if (!number) return Error{EINVAL, file.path + ": a process without a number"};
  const std::string path = "/proc/self/" + std::string(rest.substr(std::min<size_t>(rest.size(), 1)));
  UniqueFd place(::open("/dev/null", O_RDONLY | O_CLOEXEC));  // what the other one puts at this number is ours
  if (!place) return systemError("/dev/null");
  const auto open = [&] {
    const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY));
    return fd && ::dup3(fd.get(), place.get(), O_CLOEXEC) >= 0 ? 0 : errno;
  };
  BLCR_TRY(actAs(uint32_t(*number), file.path, open));
  return place;
}

}  // namespace blcr
