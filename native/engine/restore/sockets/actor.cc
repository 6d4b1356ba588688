#include "restore/sockets/actor.h"

#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/features.h"

namespace blcr {
namespace {

pid_t cloneSharingFiles(uint32_t pid) {
  if (featureAllowed("clone3")) {
    const pid_t number = pid_t(pid);
    clone_args args{};
    args.flags = CLONE_FILES;
    if (pid != 0) {
      args.set_tid = reinterpret_cast<uint64_t>(&number);
      args.set_tid_size = 1;
    }
    const long made = ::syscall(SYS_clone3, &args, sizeof args);
    if (made >= 0) return pid_t(made);
  }
  // The number is taken, or cannot be chosen: what is noted down then is that of a process that has ended.
  return pid_t(::syscall(SYS_clone, CLONE_FILES, 0, 0, 0, 0));
}

int makeParents(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (::mkdir(path.substr(0, slash).c_str(), 0700) != 0 && errno != EEXIST) return errno;
  return 0;
}

}  // namespace

Status actAs(uint32_t pid, const std::string& what, const std::function<int()>& act) {
  const pid_t actor = cloneSharingFiles(pid);
  if (actor == 0) ::_exit(act());
  if (actor < 0) return systemError(what);
  int status = 0;
  while (::waitpid(actor, &status, __WALL) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  errno = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
  return systemError(what);
}

int enterEmptyRoot(const std::string& path, const std::string& directory) {
  if (::unshare(CLONE_NEWNS) != 0) return errno;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
  // Any directory serves as the place of the new root; this one exists everywhere and is not needed here.
  if (::mount("tmpfs", "/proc", "tmpfs", 0, nullptr) != 0 || ::chroot("/proc") != 0 || ::chdir("/") != 0) return errno;
  if (const int code = makeParents(directory + "/"); code != 0) return code;
  if (!directory.empty() && ::chdir(directory.c_str()) != 0) return errno;
  return makeParents(path);
}

}  // namespace blcr
