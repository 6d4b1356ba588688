#include "restore/tasks/fork_as.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/features.h"
#include "base/unique_fd.h"

namespace blcr {

Status prepareNumber(int32_t number) {
  const char* path = "/proc/sys/kernel/ns_last_pid";
  const UniqueFd file(::open(path, O_WRONLY | O_CLOEXEC));
  const std::string text = std::to_string(number - 1);
  if (!file || ::write(file.get(), text.data(), text.size()) < 0) return systemError(path);
  return {};
}

Error numberError(int code, int32_t number) {
  errno = code;
  Error error = systemError("making task " + std::to_string(number));
  if (code == EPERM) error.detail += " (this namespace does not let process numbers be chosen, or a filter forbids clone3)";
  if (code == EEXIST) error.detail += " (the number is taken)";
  if (code == EINVAL) error.detail += " (beyond this kernel's pid_max?)";
  return error;
}

Result<pid_t> forkAs(int32_t number, int exitSignal) {
  clone_args args{};
  const pid_t chosen = number;
  args.exit_signal = uint64_t(exitSignal);
  args.set_tid = number == 0 ? 0 : reinterpret_cast<uint64_t>(&chosen);
  args.set_tid_size = number == 0 ? 0 : 1;
  long pid = -1;
  errno = ENOSYS;
  if (featureAllowed("clone3")) pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid < 0 && errno == ENOSYS) {
    if (number != 0) BLCR_TRY(prepareNumber(number));
    pid = ::syscall(SYS_clone, exitSignal, 0, 0, 0, 0);
  }
  if (pid < 0) return numberError(errno, number);
  return pid_t(pid);
}

}  // namespace blcr
