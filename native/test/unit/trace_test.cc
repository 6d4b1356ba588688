// ptrace on children of our own: stops, injected calls, registers, memory, transparency.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "arch/x86_64/vdso.h"
#include "base/clock.h"
#include "check.h"
#include "proc/maps.h"
#include "proc/status.h"
#include "trace/tracee.h"

using namespace blcr;

namespace {

/** A child that runs `body` and is killed when the guard goes. */
class Child {
 public:
  explicit Child(const std::function<int()>& body) {
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      _exit(body());
    }
  }
  ~Child() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, __WALL);
  }
  pid_t pid() const { return pid_; }
  int join() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
  }

 private:
  pid_t pid_;
};

uint64_t syscallInstruction(pid_t pid) {
  const RemoteMemory memory(pid);
  const auto maps = readMaps(pid);
  if (!maps.ok()) return 0;
  for (const Mapping& mapping : maps.value()) {
    if (mapping.path == "[vdso]") return findSyscall(memory, mapping.start, mapping.end).value();
  }
  return 0;
}

/** One stop with `calls` injected getppid, as a checkpoint would do it. */
bool visit(pid_t pid, uint64_t instruction, int calls) {
  auto tracee = Tracee::seize(pid, 0);
  if (!tracee || !tracee->waitStop(2000)) return false;
  {
    auto scope = InjectionScope::enter(*tracee, instruction);
    if (!scope) return false;
    for (int i = 0; i < calls; ++i) {
      auto parent = scope->call("getppid", SYS_getppid);
      if (!parent || *parent != uint64_t(getpid())) return false;
    }
    if (!scope->restore()) return false;
  }
  return tracee->detach().ok();
}

}  // namespace

TEST(injected_calls_do_not_disturb_a_spinning_program) {
  Child child([] {
    static volatile sig_atomic_t told = 0;
    if (signal(SIGUSR1, [](int) { told = 1; }) == SIG_ERR) return 2;
    volatile uint64_t sum = 0;
    uint64_t expected = 0;
    for (uint64_t i = 0; told == 0; ++i) {
      sum = sum + i * i;
      expected += i * i;
    }
    return sum == expected ? 7 : 1;
  });
  const uint64_t instruction = syscallInstruction(child.pid());
  CHECK(instruction != 0);
  for (int i = 0; i < 20; ++i) {
    CHECK(visit(child.pid(), instruction, 3));
    sleepUs(3000);
  }
  CHECK(kill(child.pid(), SIGUSR1) == 0);
  CHECK(child.join() == 7);
}

/** Nothing ends the sleep but the program's own signal, and what is left of it is what it would be. */
TEST(blocked_calls_go_on_as_if_nothing_had_happened) {
  Child child([] {
    static volatile sig_atomic_t told = 0;
    struct sigaction action{};
    action.sa_handler = [](int) { told = 1; };
    if (sigaction(SIGUSR1, &action, nullptr) != 0) return 1;
    constexpr int64_t kWholeNs = 600'000'000'000;
    const timespec whole{kWholeNs / 1'000'000'000, 0};
    timespec rest{};
    const int64_t start = nowNs();
    const bool interrupted = nanosleep(&whole, &rest) == -1 && errno == EINTR;
    const int64_t took = nowNs() - start, left = rest.tv_sec * 1'000'000'000 + rest.tv_nsec;
    return interrupted && told != 0 && left < kWholeNs && took + left >= kWholeNs ? 9 : 2;
  });
  sleepUs(20000);
  const uint64_t instruction = syscallInstruction(child.pid());
  for (int i = 0; i < 10; ++i) {
    CHECK(visit(child.pid(), instruction, 2));
    sleepUs(10000);
  }
  CHECK(kill(child.pid(), SIGUSR1) == 0);
  CHECK(child.join() == 9);
}

TEST(read_is_restarted) {
  int fds[2];
  CHECK(pipe(fds) == 0);
  Child child([fds] {
    char byte = 0;
    return read(fds[0], &byte, 1) == 1 && byte == 'x' ? 5 : 1;
  });
  sleepUs(20000);
  const uint64_t instruction = syscallInstruction(child.pid());
  for (int i = 0; i < 5; ++i) CHECK(visit(child.pid(), instruction, 2));
  CHECK(write(fds[1], "x", 1) == 1);
  CHECK(child.join() == 5);
  close(fds[0]);
  close(fds[1]);
}

/** However busy the machine is; a process that does not get there in a minute never does. */
bool comesToState(pid_t pid, char state) {
  for (const int64_t limit = nowNs() + 60'000'000'000; nowNs() < limit; sleepUs(1000))
    if (readStat(pid)->state == state) return true;
  return false;
}

TEST(stopped_jobs_are_recognised_and_stay_stopped) {
  Child child([] {
    while (true) pause();
    return 0;
  });
  sleepUs(10000);
  kill(child.pid(), SIGSTOP);
  int status = 0;
  CHECK(waitpid(child.pid(), &status, WUNTRACED) == child.pid() && WIFSTOPPED(status));
  const uint64_t instruction = syscallInstruction(child.pid());
  {
    auto tracee = Tracee::seize(child.pid(), 0);
    CHECK(tracee.ok() && tracee->waitStop(2000).ok());
    if (!tracee.ok()) return;
    CHECK(tracee->groupStopSignal() == SIGSTOP);
    {
      auto scope = InjectionScope::enter(*tracee, instruction);
      CHECK(scope.ok() && scope->call("getpid", SYS_getpid).ok());
    }
    CHECK(tracee->detach().ok());
  }
  CHECK(comesToState(child.pid(), 'T'));
  sleepUs(20000);
  CHECK(readStat(child.pid())->state == 'T');  // and stays in it
  kill(child.pid(), SIGCONT);
  CHECK(comesToState(child.pid(), 'S'));
}

TEST(signals_before_the_stop_are_delivered) {
  struct Shared {
    volatile sig_atomic_t ready, seen;
  };
  static auto* const shared =
      static_cast<Shared*>(mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const int64_t limit = nowNs() + 20000000000;
  Child child([limit] {
    signal(SIGUSR1, [](int) { shared->seen = shared->seen + 1; });
    shared->ready = 1;
    while (shared->seen < 10 && nowNs() < limit) {
    }
    return int(shared->seen);
  });
  while (shared->ready == 0 && nowNs() < limit) sleepUs(500);
  const uint64_t instruction = syscallInstruction(child.pid());
  for (int sent = 1; sent <= 10; ++sent) {
    kill(child.pid(), SIGUSR1);
    CHECK(visit(child.pid(), instruction, 1));
    while (shared->seen < sent && nowNs() < limit) sleepUs(500);  // two of them waiting are one
  }
  CHECK(child.join() == 10);
}

/** Any stop on the way makes the kernel forget that one was asked for: a fork that tells of its child, and takes long. */
TEST(a_fork_in_progress_does_not_swallow_the_stop) {
  Child child([] {
    constexpr size_t kSize = 32 << 20;
    void* const memory = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(memory, kSize, MADV_NOHUGEPAGE);
    std::memset(memory, 'x', kSize);
    for (pid_t made = 1; made > 0; waitpid(made, nullptr, 0)) {
      made = fork();
      if (made == 0) _exit(0);
    }
    return 0;
  });
  auto tracee = Tracee::seize(child.pid(), PTRACE_O_TRACEFORK);
  CHECK(tracee.ok() && tracee->waitStop(5000).ok());
  for (int round = 0; round < 60 && tracee.ok(); ++round) {
    CHECK(tracee->resume().ok());
    sleepUs(round * 20);
    CHECK(tracee->interrupt().ok() && tracee->waitStop(5000).ok());
    for (const pid_t made : tracee->takeChildren()) {
      Tracee other = Tracee::adopt(made);
      CHECK(other.waitStop(5000).ok() && other.detach().ok());
    }
    if (check::failures() != 0) return;
  }
}

TEST(a_dying_task_is_esrch_everywhere) {
  Child child([] {
    while (true) pause();
    return 0;
  });
  auto tracee = Tracee::seize(child.pid(), 0);
  CHECK(tracee.ok() && tracee->waitStop(2000).ok());
  if (!tracee.ok()) return;
  auto scope = InjectionScope::enter(*tracee, syscallInstruction(child.pid()));
  CHECK(scope.ok());
  kill(child.pid(), SIGKILL);
  sleepUs(20000);
  auto result = scope->call("getpid", SYS_getpid);
  CHECK(!result.ok() && result.error().code == ESRCH);
  CHECK(!tracee->registers().ok());
}

TEST(memory_of_protected_areas_is_reached) {
  char* page = static_cast<char*>(mmap(nullptr, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  std::memset(page, 'k', 12288);
  mprotect(page + 4096, 4096, PROT_NONE);
  Child child([] {
    while (true) pause();
    return 0;
  });
  const auto address = reinterpret_cast<uint64_t>(page);
  for (const char* disabled : {"", "process_vm"}) {
    setenv("BLCR_DISABLE", disabled, 1);
    const RemoteMemory memory(child.pid());
    std::string text(12288, '\0');
    CHECK(memory.read(address, std::as_writable_bytes(std::span(text))).ok());
    CHECK(text == std::string(12288, 'k'));
    const std::string change(6000, 'z');
    CHECK(memory.write(address + 2000, std::as_bytes(std::span(change))).ok());
    CHECK(memory.read(address, std::as_writable_bytes(std::span(text))).ok());
    CHECK(text == std::string(2000, 'k') + change + std::string(4288, 'k'));
    const std::string back(12288, 'k');
    CHECK(memory.write(address, std::as_bytes(std::span(back))).ok());
    auto bad = memory.read(0x1000, std::as_writable_bytes(std::span(text)));
    CHECK(!bad.ok());
  }
  unsetenv("BLCR_DISABLE");
  munmap(page, 12288);
}

CHECK_MAIN
