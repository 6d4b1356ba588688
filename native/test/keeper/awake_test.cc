// Stopped processes that run for a while as tracees.
#include "awake.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <new>
#include <thread>

#include "check.h"
#include "proc/status.h"

using blcr::Awake;

namespace {

struct Shared {
  std::atomic<uint64_t> main{0}, thread{0}, continued{0};
  std::atomic<bool> wantsThread{false}, ends{false};
};

Shared* shared = nullptr;

void tick(std::atomic<uint64_t>& count) {
  ++count;
  ::usleep(500);
}

[[noreturn]] void live() {
  ::signal(SIGCONT, [](int) { ++shared->continued; });
  bool made = false;
  while (!shared->ends) {
    tick(shared->main);
    if (!shared->wantsThread || made) continue;
    made = true;
    std::thread([] {
      for (;;) tick(shared->thread);
    }).detach();
  }
  ::_exit(7);
}

template <typename Condition>
bool within(Awake* awake, Condition condition) {
  for (int round = 0; round < 10000; ++round) {
    if (awake != nullptr) awake->lookAfter();
    if (condition()) return true;
    ::usleep(500);
  }
  return false;
}

bool isStopped(pid_t pid) {
  const auto tids = blcr::listTasks(pid);
  if (!tids) return false;
  for (const pid_t tid : tids.value()) {
    const auto stat = blcr::readTaskStat(pid, tid);
    if (!stat || stat.value().state != 'T') return false;
  }
  return true;
}

/** A stopped child, whose stop has been heard of. */
class Victim {
 public:
  Victim() {
    shared = new (::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Shared;
    pid = ::fork();
    if (pid == 0) live();
    CHECK(within(nullptr, [] { return shared->main > 0; }));
    ::kill(pid, SIGSTOP);
    int status = 0;
    CHECK(::waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    CHECK(within(nullptr, [this] { return isStopped(pid); }));
  }
  Victim(const Victim&) = delete;
  ~Victim() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, __WALL);
    ::munmap(shared, sizeof(Shared));
  }
  /** Nothing of it runs. */
  [[nodiscard]] bool rests() const {
    if (!within(nullptr, [this] { return isStopped(pid); })) return false;
    const uint64_t before = shared->main + shared->thread;
    ::usleep(20000);
    return shared->main + shared->thread == before;
  }
  /** Its parent has heard of no stop and of no continuation. */
  [[nodiscard]] bool isSilent() const {
    siginfo_t info{};
    return ::waitid(P_PID, id_t(pid), &info, WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
  }
  pid_t pid = 0;
};

}  // namespace

TEST(who_is_stopped_runs_and_stops_again_unseen) {
  const Victim victim;
  Awake awake;
  for (int round = 0; round < 20; ++round) {
    const uint64_t before = shared->main;
    CHECK(awake.wake(victim.pid));
    CHECK(within(&awake, [before] { return shared->main > before + 3; }));
    awake.rest();
    CHECK(victim.rests() && victim.isSilent());
  }
  CHECK(shared->continued == 0);
}

TEST(a_thread_that_is_made_meanwhile_stops_with_the_others) {
  const Victim victim;
  Awake awake;
  CHECK(awake.wake(victim.pid));
  shared->wantsThread = true;
  CHECK(within(&awake, [] { return shared->thread > 3; }));
  awake.rest();
  CHECK(victim.rests() && victim.isSilent());
  const uint64_t before = shared->thread;
  awake.wakeAgain();
  CHECK(within(&awake, [before] { return shared->thread > before + 3; }));
  awake.rest();
  CHECK(victim.rests() && victim.isSilent());
}

TEST(who_is_continued_meanwhile_stays_awake) {
  const Victim victim;
  Awake awake;
  CHECK(awake.wake(victim.pid));
  ::kill(victim.pid, SIGCONT);
  CHECK(within(&awake, [] { return shared->continued == 1; }));
  awake.rest();
  const uint64_t before = shared->main;
  CHECK(within(nullptr, [before] { return shared->main > before + 3; }));
  const auto status = blcr::readStatus(victim.pid);
  CHECK(status && status.value().tracer == 0);
}

TEST(an_end_is_left_to_whoever_waits_for_it) {
  const Victim victim;
  Awake awake;
  CHECK(awake.wake(victim.pid));
  shared->ends = true;
  CHECK(within(&awake, [&awake] { return awake.empty(); }));
  awake.rest();
  int status = 0;
  CHECK(::waitpid(victim.pid, &status, WNOHANG) == victim.pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

TEST(who_runs_or_is_gone_is_left_alone) {
  const Victim victim;
  ::kill(victim.pid, SIGCONT);
  CHECK(within(nullptr, [] { return shared->continued == 1; }));
  Awake awake;
  CHECK(awake.wake(victim.pid) && awake.empty() && awake.woken().empty());
  CHECK(awake.wake(1 << 22) && awake.empty());
}

CHECK_MAIN
