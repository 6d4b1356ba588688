#include "base/deadly_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <new>
#include <string>

#include "base/codes.h"
#include "base/features.h"
#include "base/unique_fd.h"

namespace blcr {
namespace {

/** How far the child has come, in memory that it shares with its maker. */
struct Progress {
  std::atomic<bool> isGuarded = false;
  std::atomic<size_t> next = 0;
};

/** Lets only the end through. */
bool refuseAll() {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{sizeof code / sizeof code[0], code};
  ::prctl(PR_SET_DUMPABLE, 0);  // no core file
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/** In the child of a process that may have threads: system calls only. */
[[noreturn]] void tryAll(std::span<const HostCall> calls, Progress& progress) {
  ::signal(SIGSYS, SIG_DFL);
  if (!refuseAll()) ::_exit(1);
  progress.isGuarded = true;
  for (const HostCall& call : calls) {
    ::syscall(call.number, call.arguments[0], call.arguments[1], call.arguments[2], 0, 0, 0);
    ++progress.next;
  }
  ::_exit(0);
}

/** As fork(2), but no handlers of the program's run, and nobody hears of the end. */
pid_t makeChild() { return pid_t(::syscall(SYS_clone, 0, 0, 0, 0, 0)); }

/** The wait status of such a child; -1 where it cannot be told. */
int endOf(pid_t child) {
  int status = 0;
  pid_t ended = -1;
  do {
    ended = child < 0 ? -1 : ::waitpid(child, &status, __WALL);
  } while (ended < 0 && child > 0 && errno == EINTR);
  return ended == child && child > 0 ? status : -1;
}

/** Whether a child that makes the calls is killed by a filter on its way. */
bool isKilled(std::span<const HostCall> calls, Progress& progress) {
  const pid_t child = makeChild();
  if (child == 0) tryAll(calls, progress);
  const int status = endOf(child);
  return status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

/** Mode 2 of /proc/self/status, whose length groups and names do not let grow past this. Source: proc(5). */
bool isFiltered() {
  char text[16384];
  const UniqueFd status(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  const ssize_t length = status ? ::read(status.get(), text, sizeof text - 1) : -1;
  if (length <= 0) return true;  // not known: asking does no harm
  text[length] = '\0';
  const char* mode = std::strstr(text, "\nSeccomp:\t");
  return mode == nullptr || mode[std::strlen("\nSeccomp:\t")] != '0';
}

}  // namespace

const HostCall* findDeadly(std::span<const HostCall> calls) {
  void* const shared = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return nullptr;
  auto& progress = *new (shared) Progress;
  const HostCall* found = nullptr;
  // The end itself may be what is punished: then all calls have been made.
  if (isKilled(calls, progress) && progress.isGuarded && progress.next < calls.size()) found = &calls[progress.next];
  ::munmap(shared, sizeof(Progress));
  return found;
}

Status refuseDeadly(std::span<const HostCall> calls, const char* what) {
  if (!isFiltered() || !featureAllowed("filter_probe")) return {};
  const HostCall* const deadly = findDeadly(calls);
  if (deadly == nullptr) return {};
  return Error{kErrorNoSupport, std::string("a seccomp filter of this node kills whoever calls ") + deadly->name + ", which " + what +
                                    " does: nothing was tried"};
}

Status refuseForbidden(std::span<const NeededCall> calls, const char* why) {
  if (!isFiltered() || !featureAllowed("filter_probe")) return {};
  for (const NeededCall& call : calls) {
    const pid_t child = makeChild();
    if (child == 0) ::_exit(::syscall(call.number, -1, 0, 1 /* WNOHANG */, 0, 0, 0) == -1 && errno == call.error ? 0 : 1);
    const int status = endOf(child);
    const bool isForbidden = status == -1 ? child > 0 : WIFEXITED(status) && WEXITSTATUS(status) == 1;  // -1: it is wait4(2) itself
    if (isForbidden) return Error{kErrorNoSupport, std::string("a seccomp filter of this node forbids ") + call.name + why};
  }
  return {};
}

}  // namespace blcr
