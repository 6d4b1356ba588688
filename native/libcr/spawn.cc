#include "spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <cstddef>

#include "crx.h"

namespace blcr::libcr {

namespace {

constexpr size_t kStackSize = 64 * 1024;

/** Everything the children need, prepared beforehand: they may only make system calls. */
struct Start {
  const char* path;
  char* const* arguments;
  int socket;
  char* grandchildStack;
  int error;  // written by the child, whose memory is ours
};

/** As _exit(2), without whatever a sanitizer does there: the stack is not the thread's own. */
int leave(int status) { return static_cast<int>(::syscall(SYS_exit_group, status)); }

int execute(void* argument) {
  auto* start = static_cast<Start*>(argument);
  // A caller such as Node keeps its standard descriptors from children that it has not started itself.
  for (int fd = 0; fd < 3; ++fd) ::fcntl(fd, F_SETFD, 0);
  const bool placed = start->socket == 3 ? ::fcntl(3, F_SETFD, 0) == 0 : ::dup2(start->socket, 3) == 3;
  if (placed) ::execve(start->path, start->arguments, environ);
  start->error = errno;
  return leave(127);
}

int executeDetached(void* argument) {
  auto* start = static_cast<Start*>(argument);
  if (::clone(execute, start->grandchildStack, CLONE_VM | CLONE_VFORK | SIGCHLD, start) < 0) start->error = errno;
  return leave(0);
}

/** Stacks for the two children, released with the object. */
class Stacks {
 public:
  Stacks() : base_(::mmap(nullptr, 2 * kStackSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0)) {}
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;
  ~Stacks() {
    if (valid()) ::munmap(base_, 2 * kStackSize);
  }
  [[nodiscard]] bool valid() const { return base_ != MAP_FAILED; }
  [[nodiscard]] char* top(size_t index) const { return static_cast<char*>(base_) + (index + 1) * kStackSize; }

 private:
  void* base_;
};

}  // namespace

Result<pid_t> spawnKeeper(const char* mode, const UniqueFd& socket, Parentage parentage) {
  char path[PATH_MAX];
  if (crx_keeper_path(path, sizeof path) < 0) return systemError("find the keeper executable");
  const Stacks stacks;
  if (!stacks.valid()) return systemError("memory for a child's stack");
  char* const arguments[] = {path, const_cast<char*>(mode), nullptr};
  Start start{path, arguments, socket.get(), stacks.top(1), 0};
  const bool detached = parentage == Parentage::kDetached;

  // 1. All signals are blocked, so that no handler of the caller runs on the borrowed memory. 2. The keeper begins with them blocked and
  // sets up its own. 3. A detached keeper's parent ends at once and, having no exit signal, nobody hears of it.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t child =
      ::clone(detached ? executeDetached : execute, stacks.top(0), CLONE_VM | CLONE_VFORK | (detached ? 0 : SIGCHLD), &start);
  const int error = child < 0 ? errno : start.error;
  if (child > 0 && (detached || error != 0)) {
    while (::waitpid(child, nullptr, __WALL) < 0 && errno == EINTR) continue;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) {
    errno = error;
    return systemError(std::string("start ") + path);
  }
  return detached ? 0 : child;
}

}  // namespace blcr::libcr
