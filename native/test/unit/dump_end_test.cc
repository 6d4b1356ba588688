// How a checkpoint ends: evictions, cancellation, death of the target, memory that runs short.
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/codes.h"
#include "dump/dump.h"
#include "dump_harness.h"
#include "host.h"
#include "proc/status.h"

using namespace harness;

TEST(eviction_kills_and_reports_the_end) {
  Victim victim([](const std::function<void()>& ready) {
    std::thread other([] { pauseForever(); });
    ready();
    return pauseForever();
  });
  pid_t ended = 0;
  int status = 0;
  const Dumped dumped = dump(victim.pid(), Snapshot::kAuto, [&](DumpRequest& request) {
    request.signal = SIGKILL;
    request.onExit = [&](pid_t pid, int how) { ended = pid, status = how; };
  });
  CHECK(dumped.verified && dumped.result.snapshot == Snapshot::kPlain && dumped.result.threads == 2);
  CHECK(ended == victim.pid() && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  victim.forget();
}

TEST(a_frozen_job_that_is_killed_reports_its_end) {
  for (const bool direct : {true, false}) {
    Victim victim([](const std::function<void()>& ready) {
      std::thread other([] { pauseForever(); });
      ready();
      return pauseForever();
    });
    int ends = 0;
    const Dumped dumped = dump(victim.pid(), Snapshot::kPlain, [&](DumpRequest& request) {
      request.onExit = [&](pid_t pid, int status) { ends += pid == victim.pid() && WTERMSIG(status) == SIGKILL ? 1 : 0; };
      request.insideStop = [&, direct]() -> Status {
        kill(victim.pid(), SIGKILL);
        sleepUs(direct ? 0 : 20000);
        return {};
      };
    });
    CHECK(ends == 1);
    victim.forget();
  }
}

/** Whether `test` succeeds behind a filter that answers `call` with `action`: in a child, as nobody gets rid of a filter. */
template <typename Test>
bool holdsBehind(long call, uint32_t action, const Test& test) {
  const pid_t there = fork();
  if (there == 0) {
    host::answer(call, action);
    _exit(test() ? 0 : 1);
  }
  int status = -1;
  return waitpid(there, &status, 0) == there && status == 0;
}

int rest(const std::function<void()>& ready) { return ready(), pauseForever(); }

/** The end comes in the middle of a call made in the job's name: here by a filter around all of us that kills for it. */
TEST(a_job_that_dies_in_a_call_made_in_its_name_reports_its_end) {
  CHECK(holdsBehind(SYS_modify_ldt, SECCOMP_RET_KILL_PROCESS, [] {
    setenv("BLCR_DISABLE", "filter_probe", 1);  // else nothing would be tried
    Victim victim(rest);
    int ends = 0;
    const Dumped dumped = dump(victim.pid(), Snapshot::kPlain, [&](DumpRequest& request) {
      request.onExit = [&](pid_t pid, int status) { ends += pid == victim.pid() && WTERMSIG(status) == SIGSYS ? 1 : 0; };
    });
    victim.forget();
    return !dumped.good && dumped.error.code == ESRCH && ends == 1;
  }));
}

/** The node's filter answers in the kernel's place: what is not told would be lost without a word. */
TEST(questions_that_are_forbidden_fail_the_checkpoint_by_name) {
  const std::pair<long, const char*> forbidden[] = {{SYS_rt_sigaction, "rt_sigaction"},
                                                    {SYS_getitimer, "getitimer"},
                                                    {SYS_personality, "personality"},
                                                    {SYS_get_robust_list, "get_robust_list"}};
  for (const auto& [call, name] : forbidden) {
    CHECK(holdsBehind(call, SECCOMP_RET_ERRNO | EPERM, [name = name] {
      const Victim victim(rest);
      const Dumped dumped = dump(victim.pid(), Snapshot::kPlain);
      const bool isNamed = dumped.error.detail.find(name) != std::string::npos;
      return !dumped.good && dumped.error.code == kErrorNoSupport && isNamed && isAlive(victim.pid());
    }));
  }
}

/** A call of the keeper's own, one that is made in the job's name, one of the copy; and nothing is held against a filter that only refuses.
 */
TEST(filters_that_kill_are_told_before_anything_is_tried) {
  const std::pair<long, const char*> deadly[] = {
      {SYS_kcmp, "kcmp"}, {SYS_get_mempolicy, "get_mempolicy"}, {SYS_close_range, "close_range"}};
  for (const uint32_t action : {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO | EPERM}) {
    for (const auto& [call, name] : deadly) {
      CHECK(holdsBehind(call, action, [name = name, action] {
        const Victim victim(rest);
        const Dumped dumped = dump(victim.pid(), Snapshot::kFork);
        const bool isRefusing = (action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO;
        const bool isNamed = dumped.error.detail.ends_with(std::string("calls ") + name + ", which a checkpoint does: nothing was tried");
        const bool isRight = isRefusing ? dumped.good : !dumped.good && dumped.error.code == kErrorNoSupport && isNamed;
        return isRight && isAlive(victim.pid());
      }));
    }
  }
}

/** root is not bound by the limit: this happens when the native tests run as an ordinary user. */
TEST(no_more_threads_is_a_failed_checkpoint) {
  if (geteuid() == 0) return;
  for (const Snapshot how : {Snapshot::kPlain, Snapshot::kFork}) {
    const Victim victim(selfChecker);
    rlimit before{};
    CHECK(getrlimit(RLIMIT_NPROC, &before) == 0);
    const Dumped refused = dump(victim.pid(), how, [&](DumpRequest& request) {
      request.insideStop = [&before]() -> Status {
        const rlimit none{1, before.rlim_max};
        return setrlimit(RLIMIT_NPROC, &none) == 0 ? Status() : Status(systemError("setrlimit"));
      };
    });
    CHECK(setrlimit(RLIMIT_NPROC, &before) == 0);
    CHECK(!refused.good && refused.error.code == EAGAIN);
    CHECK(dump(victim.pid(), how).verified);
  }
}

TEST(cancelling_ends_a_dump_that_nobody_reads) {
  Victim victim(selfChecker);
  int fds[2];
  CHECK(pipe2(fds, O_CLOEXEC) == 0);
  fcntl(fds[1], F_SETPIPE_SZ, 4096);
  Log log;
  DumpRequest request;
  request.target = victim.pid();
  request.outputFd = fds[1];
  request.snapshot = Snapshot::kFork;
  auto job = Dump::create(request, log);
  CHECK(job->start().ok());
  sleepUs(20000);
  job->cancel();
  waitDone(*job);
  const auto result = job->finish();
  CHECK(!result.ok() && result.error().code == ECANCELED);
  job = Dump::create(request, log);
  CHECK(job->start().ok());
  job.reset();  // destruction in the middle
  close(fds[0]);
  close(fds[1]);
  kill(victim.pid(), SIGUSR1);
  CHECK(victim.join() == 42);
}

TEST(a_job_that_outgrows_its_budget_is_held_and_let_go) {
  constexpr size_t kSize = 64 << 20;
  auto* counter = static_cast<volatile uint64_t*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const Victim victim([counter](const std::function<void()>& ready) {
    auto* memory = static_cast<char*>(mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
    memset(memory, 1, kSize);
    ready();
    for (uint64_t i = 0;; ++i) {
      memory[i * 4096 % kSize] = char(i);
      *counter = i;
      if (i % 64 == 0) sleepUs(200);
    }
    return 0;
  });
  int fds[2];
  CHECK(pipe2(fds, O_CLOEXEC) == 0);
  Log log;
  DumpRequest request;
  request.target = victim.pid();
  request.outputFd = fds[1];
  request.snapshot = Snapshot::kFork;
  request.memoryBudget = 4 << 20;
  auto job = Dump::create(request, log);
  CHECK(job->start().ok());
  sleepUs(300000);  // nobody reads: the copy stays, the job goes on writing and is stopped
  const uint64_t before = *counter;
  sleepUs(100000);
  CHECK(*counter == before);
  Dumped dumped;
  std::thread reader([&] { readContext(fds[0], dumped); });
  waitDone(*job);
  const auto result = job->finish();
  job.reset();
  close(fds[1]);
  reader.join();
  close(fds[0]);
  CHECK(result.ok() && dumped.verified);
  if (result.ok()) CHECK(result.value().stopUs > 100000);
  const uint64_t after = *counter;
  sleepUs(100000);
  CHECK(*counter > after);
  munmap(const_cast<uint64_t*>(counter), 4096);
}

/** A forked copy of `target` is read only after `meanwhile`, which finds the target running. */
static Dumped dumpWhile(pid_t target, const std::function<void()>& meanwhile) {
  Dumped into;
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return into;
  Log log;
  DumpRequest request;
  request.target = target;
  request.outputFd = fds[1];
  request.snapshot = Snapshot::kFork;
  auto job = Dump::create(request, log);
  CHECK(job->start().ok());
  meanwhile();
  std::thread reader([&] { readContext(fds[0], into); });
  waitDone(*job);
  into.good = job->finish().ok();
  job.reset();
  close(fds[1]);
  reader.join();
  close(fds[0]);
  return into;
}

TEST(a_target_that_executes_another_program_while_its_copy_is_read_goes_on) {
  Victim victim([](const std::function<void()>& ready) {
    static volatile sig_atomic_t go;
    signal(SIGUSR1, [](int) { go = 1; });
    ready();
    while (go == 0) sleepUs(100);
    execl("/bin/sleep", "sleep", "100", nullptr);
    return 1;
  });
  const auto isExecuted = [&] {
    const auto stat = readStat(victim.pid());
    return stat && stat.value().comm == "sleep";
  };
  const Dumped dumped = dumpWhile(victim.pid(), [&] {
    kill(victim.pid(), SIGUSR1);
    for (int round = 0; round < 5000 && !isExecuted(); ++round) sleepUs(1000);
  });
  CHECK(dumped.good && dumped.verified);
  sleepUs(20000);
  CHECK(isExecuted() && readStat(victim.pid()).value().state == 'S');
}

TEST(a_target_that_dies_while_its_copy_is_read_does_no_harm) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  Victim victim([](const std::function<void()>& ready) {
    ready();
    return pauseForever();
  });
  const Dumped dumped = dumpWhile(victim.pid(), [&] {
    kill(victim.pid(), SIGKILL);
    CHECK(victim.join() == 256 + SIGKILL);
  });
  CHECK(dumped.good && dumped.verified);
  CHECK(waitpid(-1, nullptr, __WALL | WNOHANG) == -1 && errno == ECHILD);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST(a_failing_capture_fails_the_dump_and_frees_the_job) {
  Victim victim(selfChecker);
  const Dumped dumped = dump(victim.pid(), Snapshot::kFork,
                             [](DumpRequest& request) { request.insideStop = [] { return Status(Error{ENOSPC, "no room"}); }; });
  CHECK(!dumped.good && dumped.error.code == ENOSPC);
  kill(victim.pid(), SIGUSR1);
  CHECK(victim.join() == 42);
}

CHECK_MAIN
