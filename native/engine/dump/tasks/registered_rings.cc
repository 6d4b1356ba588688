#include "dump/tasks/registered_rings.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>

#include <array>

#include "base/codes.h"

namespace blcr {
namespace {

/** Submits nothing and waits for nothing. EINVAL: the task has never used an io_uring; EBADF: none has that number. */
RemoteCall enter(uint64_t number) { return {SYS_io_uring_enter, {number, 0, 0, IORING_ENTER_REGISTERED_RING, 0, 0}}; }

}  // namespace

RemoteCall RegisteredRings::look() { return enter(0); }

void RegisteredRings::take(size_t task, const RemoteCall& look) {
  const bool forbidden = look.result == -ENOSYS || look.result == -EPERM || look.result == -EACCES;
  users_[task] = !forbidden && look.result != -EINVAL;
}

Status RegisteredRings::check(FrozenProcess& process) const {
  constexpr size_t kMost = 16;  // IO_RINGFD_REG_MAX, include/linux/io_uring_types.h
  for (size_t task = 0; task < users_.size(); ++task) {
    if (!users_[task]) continue;
    std::array<RemoteCall, kMost> calls;
    for (size_t number = 0; number < kMost; ++number) calls[number] = enter(number);
    BLCR_TRY(runInTask(process, task, calls));
    for (const RemoteCall& call : calls)
      if (call.result != -EBADF && call.result != -EINVAL)
        return Error{kErrorNoSupport,
                     taskName(process.pid, process.tasks[task].tracee.tid()) +
                         " has registered the descriptor of an io_uring (IORING_REGISTER_RING_FDS), which is not supported"};
  }
  return {};
}

}  // namespace blcr
