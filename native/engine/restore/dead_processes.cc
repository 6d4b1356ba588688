#include "restore/dead_processes.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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

}  // namespace blcr
