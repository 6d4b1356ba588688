#include "dump/tasks/restrictions.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/codes.h"
#include "base/unique_fd.h"

namespace blcr {
namespace {

/** Of Linux 5.13. Source: asm/unistd_64.h, linux/landlock.h */
bool isLandlockHere() {
  constexpr long kCreateRuleset = 444;
  constexpr unsigned kAskVersion = 1;
  return ::syscall(kCreateRuleset, nullptr, 0, kAskVersion) > 0;
}

/** A question that only who may look at `other` is let ask, before it fails for want of a place for the answer (EFAULT). */
RemoteCall lookAt(pid_t other) {
  constexpr uint64_t kNoPlace = ~4095ull;  // the kernel's; at 0 a program may have memory of its own
  return {SYS_get_robust_list, {uint64_t(other), kNoPlace, kNoPlace}};
}

/** A filter around all of us may forbid it. */
bool mayLook() { return ::syscall(SYS_get_robust_list, ::getpid(), nullptr, nullptr) == -1 && errno == EFAULT; }

bool mayRestrictItself(const image::Task& task, const image::Credentials& credentials) {
  return task.noNewPrivileges || (credentials.capPermitted >> CAP_SYS_ADMIN & 1) != 0;
}

/** Becomes somebody whom every process with these credentials may look at, tells so, and waits to be killed. */
[[noreturn]] void standBy(const image::Credentials& like, int ready) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const bool isSame = ::geteuid() == like.uid[0] && ::getegid() == like.gid[0];
  if (!isSame) {
    ::syscall(SYS_setgroups, 0, nullptr);
    if (::syscall(SYS_setresgid, like.gid[0], like.gid[0], like.gid[0]) != 0) ::_exit(1);
    if (::syscall(SYS_setresuid, like.uid[0], like.uid[0], like.uid[0]) != 0) ::_exit(1);
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2]{};
  if (::syscall(SYS_capset, &header, none) != 0 || ::prctl(PR_SET_DUMPABLE, 1) != 0) ::_exit(1);
  static_cast<void>(!::write(ready, "r", 1));
  while (true) ::pause();
}

}  // namespace

Restrictions::~Restrictions() {
  if (other_ <= 0) return;
  ::kill(other_, SIGKILL);
  while (::waitpid(other_, nullptr, __WALL) < 0 && errno == EINTR) {
  }
}

void Restrictions::makeOther(const image::Credentials& like) {
  other_ = 0;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return;
  const UniqueFd told(ends[0]);
  UniqueFd ready(ends[1]);
  const pid_t made = ::fork();
  if (made == 0) standBy(like, ready.get());
  ready.reset();
  if (made < 0) return;
  other_ = made;
  char byte = 0;
  ssize_t got = 0;
  while ((got = ::read(told.get(), &byte, 1)) < 0 && errno == EINTR) {
  }
  if (got == 1) return;
  ::waitpid(made, nullptr, __WALL);
  other_ = 0;
}

RemoteCall Restrictions::look() {
  static const bool isTelling = isLandlockHere() && mayLook();
  return isTelling ? lookAt(::getpid()) : RemoteCall{SYS_getpid, {}};
}

bool Restrictions::isBarred(const RemoteCall& look) { return look.result == -EPERM || look.result == -EACCES; }

Result<bool> Restrictions::mayLookAt(FrozenProcess& process, size_t index, pid_t other) {
  RemoteCall look = lookAt(other);
  BLCR_TRY(runInTask(process, index, std::span(&look, 1)));
  return !isBarred(look);
}

Status Restrictions::check(FrozenProcess& process, const image::Process& recorded, const std::vector<bool>& barred) {
  for (size_t index = 0; index < recorded.tasks.size(); ++index) {
    // This process is as good as any, unless it has capabilities that the task lacks, as in a restarted job.
    if (!barred[index] || !mayRestrictItself(recorded.tasks[index], recorded.credentials)) continue;
    if (other_ < 0) makeOther(recorded.credentials);
    if (other_ == 0) return {};
    const auto other = mayLookAt(process, index, other_);
    if (!other.ok()) return other.error();
    if (!other.value())
      return Error{kErrorNoSupport,
                   taskName(process.pid, recorded.tasks[index].tid) + " has restricted itself (Landlock), and nobody is told in what"};
  }
  return {};
}

}  // namespace blcr
