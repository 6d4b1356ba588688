// Checkpoints of living processes: what is recorded, what is refused, and that the target never notices.
#include "dump/dump.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <time.h>

#include "base/codes.h"
#include "dump_harness.h"
#include "proc/status.h"

using namespace harness;

namespace {

/** What the tests of memory look at: known addresses, because the victim is a fork of the test. */
struct Areas {
  char* data = nullptr;       // 16 pages 'd', two of them zero again
  char* hidden = nullptr;     // 2 pages 'h', PROT_NONE
  char* uncopied = nullptr;   // 2 pages 'u', MADV_DONTFORK
  char* wiped = nullptr;      // 2 pages 'w', MADV_WIPEONFORK
  char* shared = nullptr;     // 4 pages, second one 's'
  char* untouched = nullptr;  // 64 pages
};

Areas& areas() {
  static Areas made = [] {
    const auto map = [](size_t pages, int flags) {
      return static_cast<char*>(mmap(nullptr, pages * 4096, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0));
    };
    return Areas{map(16, MAP_PRIVATE), map(2, MAP_PRIVATE), map(2, MAP_PRIVATE),
                 map(2, MAP_PRIVATE),  map(4, MAP_SHARED),  map(64, MAP_PRIVATE)};
  }();
  return made;
}

int memoryVictim(const std::function<void()>& ready) {
  Areas& at = areas();
  memset(at.data, 'd', 16 * 4096);
  memset(at.data + 3 * 4096, 0, 2 * 4096);
  memset(at.hidden, 'h', 2 * 4096);
  mprotect(at.hidden, 2 * 4096, PROT_NONE);
  memset(at.uncopied, 'u', 2 * 4096);
  madvise(at.uncopied, 2 * 4096, MADV_DONTFORK);
  memset(at.wiped, 'w', 2 * 4096);
  madvise(at.wiped, 2 * 4096, MADV_WIPEONFORK);
  memset(at.shared + 4096, 's', 4096);
  madvise(at.shared, 4 * 4096, MADV_DONTNEED);  // the page lives on without being mapped
  ready();
  return pauseForever();
}

const image::Area* areaAt(const Dumped& dumped, const void* address) {
  for (const image::Area& area : dumped.image.processes[0].memory.areas) {
    if (area.start <= reinterpret_cast<uint64_t>(address) && reinterpret_cast<uint64_t>(address) < area.end) return &area;
  }
  return nullptr;
}

void checkMemory(const Dumped& dumped) {
  CHECK(dumped.good && dumped.verified);
  if (!dumped.verified) return;
  const auto bytes = [&](const char* address, size_t pages) { return dumped.bytes(0, reinterpret_cast<uint64_t>(address), pages * 4096); };
  const Areas& at = areas();
  CHECK(bytes(at.data, 16) == std::string(3 * 4096, 'd') + std::string(2 * 4096, '\0') + std::string(11 * 4096, 'd'));
  CHECK(!dumped.pages.contains({0, reinterpret_cast<uint64_t>(at.data) + 3 * 4096}));
  CHECK(bytes(at.hidden, 2) == std::string(2 * 4096, 'h'));
  CHECK(bytes(at.uncopied, 2) == std::string(2 * 4096, 'u'));
  CHECK(bytes(at.wiped, 2) == std::string(2 * 4096, 'w'));
  for (size_t page = 0; page < 64; ++page) CHECK(!dumped.pages.contains({0, reinterpret_cast<uint64_t>(at.untouched) + page * 4096}));
  const image::Area* shared = areaAt(dumped, at.shared);
  CHECK(shared != nullptr && shared->kind == image::AreaKind::kShared && shared->shared);
  if (shared == nullptr || shared->kind != image::AreaKind::kShared) return;
  const uint64_t offset = reinterpret_cast<uint64_t>(at.shared) - shared->start + shared->offset;
  CHECK(dumped.bytes(image::kSharedSpace | shared->file, offset, 3 * 4096) ==
        std::string(4096, '\0') + std::string(4096, 's') + std::string(4096, '\0'));
  const image::Area* uncopied = areaAt(dumped, at.uncopied);
  CHECK(uncopied != nullptr && (uncopied->flags & image::kDontFork) != 0);
  const image::Area* wiped = areaAt(dumped, at.wiped);
  CHECK(wiped != nullptr && (wiped->flags & image::kWipeOnFork) != 0);
  const image::Area* hidden = areaAt(dumped, at.hidden);
  CHECK(hidden != nullptr && hidden->protection == PROT_NONE);
}

}  // namespace

TEST(memory_is_complete_in_both_modes) {
  static_cast<void>(areas());
  const Victim victim(memoryVictim);
  CHECK(victim.ready());
  checkMemory(dump(victim.pid(), Snapshot::kPlain));
  const Dumped forked = dump(victim.pid(), Snapshot::kFork);
  CHECK(forked.result.snapshot == Snapshot::kFork);
  checkMemory(forked);
}

// A sanitized victim maps terabytes of shadow memory, which only PAGEMAP_SCAN passes over in reasonable time.
#ifdef __SANITIZE_ADDRESS__
constexpr const char* kFallbacks[] = {"process_vm", "batch",       "close_range",
                                      "pidfd",      "rseq_config", "process_vm,batch,close_range,pidfd,rseq_config,sock_diag"};
#else
constexpr const char* kFallbacks[] = {"pagemap_scan",
                                      "process_vm",
                                      "batch",
                                      "close_range",
                                      "pidfd",
                                      "rseq_config",
                                      "pagemap_scan,process_vm,batch,close_range,pidfd,rseq_config,sock_diag"};
#endif

TEST(every_fallback_gives_the_same_memory) {
  const Victim victim(memoryVictim);
  for (const char* disabled : kFallbacks) {
    setenv("BLCR_DISABLE", disabled, 1);
    checkMemory(dump(victim.pid(), Snapshot::kFork));
  }
  setenv("BLCR_DISABLE", "fork", 1);
  const Dumped plain = dump(victim.pid(), Snapshot::kFork);
  CHECK(plain.result.snapshot == Snapshot::kPlain);
  checkMemory(plain);
  unsetenv("BLCR_DISABLE");
}

TEST(rseq_is_found_without_the_kernels_help) {
  const Victim victim(memoryVictim);
  const Dumped asked = dump(victim.pid(), Snapshot::kPlain);
  setenv("BLCR_DISABLE", "rseq_config", 1);
  const Dumped guessed = dump(victim.pid(), Snapshot::kPlain);
  unsetenv("BLCR_DISABLE");
  CHECK(asked.verified && guessed.verified);
  if (!asked.verified || !guessed.verified) return;
  const image::Task& left = asked.image.processes[0].tasks[0];
  const image::Task& right = guessed.image.processes[0].tasks[0];
  CHECK(left.rseqAddress != 0 && left.rseqAddress == right.rseqAddress && left.rseqSignature == right.rseqSignature &&
        left.rseqSize == right.rseqSize);
}

TEST(nothing_is_left_behind) {
  Victim victim(selfChecker);
  CHECK(victim.ready());
  for (const Snapshot snapshot : {Snapshot::kPlain, Snapshot::kFork, Snapshot::kAuto, Snapshot::kFork}) {
    const Dumped dumped = dump(victim.pid(), snapshot);
    CHECK(dumped.good && dumped.verified && dumped.result.stopUs > 0);
  }
  kill(victim.pid(), SIGUSR1);
  CHECK(victim.join() == 42);
}

/** The kernel ends a sigtimedwait with EINTR when its task is only stopped: whatever the stop was for, and however it ended. */
TEST(a_stop_interrupts_no_call) {
  for (const bool refused : {false, true}) {
    Victim victim([refused](const std::function<void()>& ready) {
      if (refused && socket(AF_NETLINK, SOCK_RAW, 0) != 3) return 1;
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, SIGUSR1);
      sigprocmask(SIG_BLOCK, &set, nullptr);
      ready();
      return sigwaitinfo(&set, nullptr) == SIGUSR1 ? 42 : errno;
    });
    sleepUs(20000);
    for (const Snapshot snapshot : {Snapshot::kFork, Snapshot::kPlain, Snapshot::kFork}) {
      CHECK(dump(victim.pid(), snapshot).good == !refused);
      sleepUs(5000);
    }
    kill(victim.pid(), SIGUSR1);
    CHECK(victim.join() == 42);
  }
}

TEST(sleeps_are_recorded_with_their_remaining_time) {
  const Victim victim([](const std::function<void()>& ready) {
    ready();
    timespec request{100, 0}, remaining{};
    nanosleep(&request, &remaining);
    return 0;
  });
  sleepUs(50000);
  for (int round = 0; round < 2; ++round) {  // the second time the call shows as restart_syscall
    const Dumped dumped = dump(victim.pid(), Snapshot::kFork);
    CHECK(dumped.verified);
    if (!dumped.verified) return;
    user_regs_struct regs{};
    memcpy(&regs, dumped.image.processes[0].tasks[0].regs.data(), sizeof regs);
    CHECK(long(regs.rax) == -514);
    const bool simple = regs.orig_rax == SYS_nanosleep;
    CHECK(simple || regs.orig_rax == SYS_clock_nanosleep);
    timespec left{};
    memcpy(&left, dumped.bytes(0, simple ? regs.rdi : regs.rdx, sizeof left).data(), sizeof left);
    CHECK(left.tv_sec < 100 && left.tv_sec >= 90);  // a sanitized dump may take seconds
  }
}

TEST(unsupported_files_are_refused_by_name) {
  const Victim victim([](const std::function<void()>& ready) {
    if (socket(AF_NETLINK, SOCK_RAW, 0) != 3) return 1;
    ready();
    return pauseForever();
  });
  const Dumped dumped = dump(victim.pid(), Snapshot::kFork);
  CHECK(!dumped.good && dumped.error.code == kErrorNoSupport);
  CHECK(dumped.error.detail.find("descriptor 3") != std::string::npos && dumped.error.detail.find("netlink") != std::string::npos);
  CHECK(dumped.error.detail.find(std::to_string(victim.pid())) != std::string::npos);
  sleepUs(10000);
  CHECK(readStat(victim.pid())->state == 'S');
}

TEST(a_pipe_out_of_the_job_is_refused) {
  int fds[2];
  CHECK(pipe2(fds, O_CLOEXEC) == 0);
  const int inside = 800;
  dup2(fds[0], 999);
  const Victim victim([inside](const std::function<void()>& ready) {
    if (dup2(999, inside) != inside) return 1;
    ready();
    return pauseForever();
  });
  close(999);
  const Dumped dumped = dump(victim.pid(), Snapshot::kFork);
  CHECK(!dumped.good && dumped.error.detail.find("outside the job") != std::string::npos);
  close(fds[0]);
  close(fds[1]);
}

TEST(tracers_and_traced_are_refused) {
  const Victim tracer([](const std::function<void()>& ready) {
    const pid_t child = fork();
    if (child == 0) return pauseForever();
    if (ptrace(PTRACE_SEIZE, child, 0, 0) != 0) return 1;
    ready();
    return pauseForever();
  });
  CHECK(tracer.ready());
  const Dumped whole = dump(tracer.pid(), Snapshot::kFork);
  CHECK(whole.error.code == kErrorTracer && whole.error.detail.find(std::to_string(tracer.pid())) != std::string::npos);
  FILE* file = fopen(("/proc/" + std::to_string(tracer.pid()) + "/task/" + std::to_string(tracer.pid()) + "/children").c_str(), "r");
  int child = 0;
  CHECK(file != nullptr && fscanf(file, "%d", &child) == 1);
  if (file != nullptr) fclose(file);
  const Dumped single = dump(child, Snapshot::kFork);
  CHECK(single.error.code == kErrorTraced && single.error.detail.find(std::to_string(tracer.pid())) != std::string::npos);
}

TEST(a_zombie_is_gone_already) {
  Victim victim([](const std::function<void()>& ready) {
    ready();
    return 5;
  });
  siginfo_t ended{};
  CHECK(waitid(P_PID, id_t(victim.pid()), &ended, WEXITED | WNOWAIT) == 0);  // a dump of one that still ends would reap it
  for (const Scope scope : {Scope::kTree, Scope::kProcess, Scope::kSession}) {
    const Dumped dumped = dump(victim.pid(), Snapshot::kFork, [scope](DumpRequest& request) { request.scope = scope; });
    CHECK(!dumped.good && dumped.error.code == ESRCH);
  }
  CHECK(victim.join() == 5);
}

TEST(no_such_process) { CHECK(dump(0x3ffffff, Snapshot::kFork).error.code == ESRCH); }

TEST(trees_have_zombies_groups_and_parents_first) {
  const Victim victim([](const std::function<void()>& ready) {
    const pid_t zombie = fork();
    if (zombie == 0) _exit(7);
    const pid_t child = fork();
    if (child == 0) {
      setpgid(0, 0);
      if (fork() == 0) return pauseForever();
      return pauseForever();
    }
    siginfo_t ended{};
    waitid(P_PID, id_t(zombie), &ended, WEXITED | WNOWAIT);
    const std::string children = "/proc/" + std::to_string(child) + "/task/" + std::to_string(child) + "/children";
    char byte = 0;
    for (bool born = false; !born; usleep(500)) {
      const int list = open(children.c_str(), O_RDONLY);
      born = read(list, &byte, 1) == 1;
      close(list);
    }
    ready();
    return pauseForever();
  });
  const Dumped dumped = dump(victim.pid(), Snapshot::kFork);
  CHECK(dumped.verified && dumped.image.processes.size() == 4 && dumped.result.processes == 4);
  if (dumped.image.processes.size() != 4) return;
  const auto& processes = dumped.image.processes;
  CHECK(processes[0].pid == victim.pid() && processes[0].ppid == 0 && processes[0].sid == victim.pid());
  int zombies = 0;
  for (const image::Process& process : processes) {
    if (process.state != image::ProcessState::kZombie) continue;
    ++zombies;
    CHECK(WIFEXITED(process.exitStatus) && WEXITSTATUS(process.exitStatus) == 7 && process.ppid == victim.pid());
  }
  CHECK(zombies == 1);
  CHECK(processes[3].pgid == processes[3].ppid || processes[2].pgid == processes[2].pid);
  const Dumped one = dump(victim.pid(), Snapshot::kFork, [](DumpRequest& request) { request.scope = Scope::kProcess; });
  CHECK(one.verified && one.image.processes.size() == 1);
  const Dumped session = dump(victim.pid(), Snapshot::kFork, [](DumpRequest& request) { request.scope = Scope::kSession; });
  CHECK(session.verified && session.image.processes.size() == 4);
  kill(-processes[3].pgid, SIGKILL);
}

TEST(stopped_jobs_stay_stopped_and_say_so) {
  const Victim victim([](const std::function<void()>& ready) {
    ready();
    return pauseForever();
  });
  kill(victim.pid(), SIGSTOP);
  sleepUs(20000);
  CHECK(readStat(victim.pid())->state == 'T');
  const Dumped dumped = dump(victim.pid(), Snapshot::kFork);
  CHECK(dumped.verified && dumped.image.processes[0].tasks[0].stopSignal == SIGSTOP);
  sleepUs(20000);
  CHECK(readStat(victim.pid())->state == 'T');
}

CHECK_MAIN
