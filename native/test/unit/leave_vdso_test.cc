// The way out of the vdso: known at every instruction of every function, taken at full speed, and unseen by the program.
#include "dump/tasks/leave_vdso.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <set>

#include "arch/x86_64/vdso_frame.h"
#include "base/elf.h"
#include "base/io.h"
#include "check.h"
#include "restore/memory/kernel_areas.h"

using namespace blcr;

namespace {

/** A child that is frozen as a process is for its checkpoint, before it runs `body`, and steered from there. */
class Frozen {
 public:
  explicit Frozen(const std::function<int()>& body) {
    auto* const go = static_cast<volatile int*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      while (*go == 0) sched_yield();
      _exit(body());
    }
    process.pid = pid_;
    auto tracee = Tracee::seize(pid_, 0);
    CHECK(tracee.ok() && tracee->waitStop(10000).ok());
    process.tasks.emplace_back(*std::move(tracee));
    process.maps = readMaps(pid_).value();
    for (const Mapping& mapping : process.maps)
      if (mapping.path == "[vdso]") vdso = mapping;
    CHECK(vdso.start != 0);
    *go = 1;
    munmap(const_cast<int*>(go), 4096);
  }
  ~Frozen() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, __WALL);
  }
  Tracee& tracee() { return process.tasks.front().tracee; }
  user_regs_struct regs() { return tracee().registers().value(); }
  bool isInside() {
    const uint64_t at = regs().rip;
    return at >= vdso.start && at < vdso.end;
  }
  /** False when the child has ended instead. */
  bool stepUntil(bool inside) {
    do {
      if (!tracee().step()) return false;
    } while (isInside() != inside);
    return true;
  }
  /** Exit status, or 256 + signal. */
  int join() {
    if (tracee().detach().ok())
      waitpid(pid_, &status_, 0);
    else
      status_ = tracee().exitStatus();
    pid_ = 0;
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 256 + WTERMSIG(status_);
  }
  /** How often it has stopped, and little else. */
  long switches() {
    const std::string text = readFile("/proc/" + std::to_string(pid_) + "/status").value();
    const std::string name = "\nvoluntary_ctxt_switches:";
    return std::atol(text.c_str() + text.find(name) + name.size());
  }

  FrozenProcess process;
  Mapping vdso;

 private:
  pid_t pid_ = 0;
  int status_ = 0;
};

using Getrandom = long(void*, size_t, unsigned, void*, size_t);

/** Looked for before any child is stepped through. */
Getrandom* findGetrandom() {
  const auto areas = kernelAreas();
  for (const ElfSymbol& symbol : dynamicSymbols(std::as_bytes(areas.value().code)))
    if (symbol.name == "__vdso_getrandom") return reinterpret_cast<Getrandom*>(getauxval(AT_SYSINFO_EHDR) + symbol.value);
  return nullptr;
}

Getrandom* const vdsoGetrandom = findGetrandom();

/** Every function, in both of its ways where it has a fast and a slow one. */
int callAll() {
  timespec time{};
  for (const clockid_t clock : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_RAW, CLOCK_PROCESS_CPUTIME_ID})
    if (clock_gettime(clock, &time) != 0) return 1;
  if (clock_gettime(1000, &time) == 0) return 2;
  timeval now{};
  if (gettimeofday(&now, nullptr) != 0 || ::time(nullptr) < 1700000000) return 3;
  if (clock_getres(CLOCK_MONOTONIC, &time) != 0 || clock_getres(CLOCK_THREAD_CPUTIME_ID, &time) != 0) return 4;
  unsigned processor = 0;
  if (getcpu(&processor, nullptr) != 0) return 5;
  char bytes[64] = {};
  if (auto* getrandom = vdsoGetrandom) {
    if (getrandom(bytes, sizeof bytes, 0, nullptr, 0) != sizeof bytes) return 6;
    struct {
      uint32_t size, protection, flags, reserved[13];
    } parameters{};
    if (getrandom(nullptr, 0, 0, &parameters, ~size_t(0)) != 0 || parameters.size > 4096) return 7;
    void* const state = mmap(nullptr, 4096, int(parameters.protection), int(parameters.flags), -1, 0);
    if (state != MAP_FAILED && getrandom(bytes, sizeof bytes, 0, state, parameters.size) != sizeof bytes) return 8;
  }
  return 40;
}

timespec* const kBadPlace = reinterpret_cast<timespec*>(64);
sigjmp_buf back;
volatile sig_atomic_t seen = 0;

void jumpBack(int) {
  seen = seen + 1;
  siglongjmp(back, 1);
}

}  // namespace

/** Kernels have written a part of getrandom without tables; what is known must be right. */
TEST(theWayOutIsKnownAtEveryInstruction) {
  Frozen child(callAll);
  const RemoteMemory memory(child.process.pid);
  std::set<uint64_t> places;
  uint64_t wrong = 0;
  while (child.stepUntil(true)) {
    const uint64_t slot = child.regs().rsp, target = memory.get<uint64_t>(slot).value();
    while (child.isInside()) {
      const user_regs_struct regs = child.regs();
      const auto out = wayOut(memory, child.vdso.start, child.vdso.end, regs);
      if (out.ok()) places.insert(regs.rip);
      if (out.ok() && (out.value().slot != slot || out.value().target != target) && wrong++ == 0)
        std::printf("  wrong at %#llx\n", regs.rip - child.vdso.start);
      if (!child.tracee().step()) break;
    }
  }
  CHECK(child.join() == 40);
  CHECK(wrong == 0 && places.size() > 150);
}

static void leaveFromEverywhere(const char* disable) {
  setenv("BLCR_DISABLE", disable, 1);
  Frozen child([] {
    for (int round = 0; round < 60; ++round) {
      timespec time{};
      if (clock_gettime(CLOCK_MONOTONIC, &time) != 0 || time.tv_sec == 0) return 1;
    }
    return callAll();
  });
  const RemoteMemory memory(child.process.pid);
  int visits = 0;
  for (; child.stepUntil(true); ++visits) {
    const user_regs_struct entered = child.regs();
    const uint64_t target = memory.get<uint64_t>(entered.rsp).value();
    for (int further = 0; further < visits && child.isInside(); ++further) CHECK(child.tracee().step().ok());
    if (!child.isInside()) continue;
    CHECK(leaveVdso(child.process).ok());
    const user_regs_struct left = child.regs();
    CHECK(left.rip == target && left.rsp == entered.rsp + 8 && left.rbp == entered.rbp && left.rbx == entered.rbx);
    CHECK(left.r12 == entered.r12 && left.r13 == entered.r13 && left.r14 == entered.r14 && left.r15 == entered.r15);
    CHECK(memory.get<uint64_t>(entered.rsp).value() == target);
    CHECK(std::memcmp(&left, &child.process.tasks.front().regs, sizeof left) == 0);
    CHECK(child.tracee().signalMask().value() == 0 && child.tracee().options() == 0);
  }
  CHECK(child.join() == 40 && visits > 60);
  unsetenv("BLCR_DISABLE");
}

TEST(functionsAreLeftFromEverywhere) { leaveFromEverywhere(""); }
TEST(functionsAreLeftStepByStepWhereTheWayIsNotKnown) { leaveFromEverywhere("vdso_return"); }

TEST(aFunctionIsLeftInAFewStops) {
  Frozen child(callAll);
  CHECK(child.stepUntil(true));
  const long before = child.switches();
  CHECK(leaveVdso(child.process).ok() && !child.isInside());
  CHECK(child.switches() - before <= 2);
  CHECK(child.join() == 40);
}

TEST(theProgramsOwnFaultsAreItsOwn) {
  Frozen child([] {
    signal(SIGSEGV, jumpBack);
    for (int round = 0; round < 45; ++round)
      if (sigsetjmp(back, 1) == 0)
        return clock_gettime(CLOCK_MONOTONIC, kBadPlace) == -1 && errno == EFAULT ? 60 : 1;
      else if (seen != round + 1)
        return 2;
    return 50;
  });
  for (int visits = 0; child.stepUntil(true); ++visits) {
    for (int further = 0; further < visits && child.isInside(); ++further) CHECK(child.tracee().step().ok());
    if (!child.isInside()) continue;
    CHECK(leaveVdso(child.process).ok() && !child.isInside());
  }
  const int result = child.join();
  CHECK(result == 50 || result == 60);
}

/** A child that counts its SIGSEGVs, stopped in the vdso; `before` is called there. Its exit status is the number. */
static int leaveWith(const std::function<void(Frozen&)>& before, bool ignores, bool blocks) {
  Frozen child([ignores, blocks] {
    signal(SIGSEGV, ignores ? SIG_IGN : [](int) { seen = seen + 1; });
    sigset_t set{}, old{};
    sigaddset(&set, SIGSEGV);
    if (blocks) sigprocmask(SIG_BLOCK, &set, &old);
    timespec time{};
    if (clock_gettime(CLOCK_MONOTONIC, &time) != 0 || (blocks && seen != 0)) return 100;
    if (blocks) sigprocmask(SIG_SETMASK, &old, nullptr);
    return int(seen);
  });
  CHECK(child.stepUntil(true));
  before(child);
  CHECK(leaveVdso(child.process).ok() && !child.isInside());
  const ProcStatus status = readStatus(child.process.pid).value();
  CHECK((status.ignored >> (SIGSEGV - 1) & 1) == (ignores ? 1 : 0) && (status.caught >> (SIGSEGV - 1) & 1) == (ignores ? 0 : 1));
  return child.join();
}

TEST(signalsOfTheSameNumberAreKept) {
  const auto nothing = [](Frozen&) {};
  const auto sent = [](Frozen& child) { kill(child.process.pid, SIGSEGV); };
  CHECK(leaveWith(nothing, false, false) == 0);
  CHECK(leaveWith(nothing, true, false) == 0);
  CHECK(leaveWith(nothing, false, true) == 0);
  CHECK(leaveWith(sent, false, false) == 1);
  CHECK(leaveWith(sent, true, false) == 0);
}

TEST(theJobMayDieOnTheWay) {
  Frozen child(callAll);
  CHECK(child.stepUntil(true));
  kill(child.process.pid, SIGKILL);
  const Status left = leaveVdso(child.process);
  CHECK(!left.ok() && left.error().code == ESRCH);
}

TEST(damagedTablesAreReadWithinTheirBounds) {
  const auto areas = kernelAreas();
  CHECK(areas.ok());
  const auto sound = std::as_bytes(areas.value().code);
  uint64_t known = 0;
  for (size_t at = 0; at < sound.size(); ++at) {
    std::vector<std::byte> damaged(sound.begin(), sound.end());
    damaged[at] ^= std::byte{0x55};
    for (uint64_t place = 0x7f0; place < damaged.size(); place += 0x111) known += callFrame(damaged, place).ok() ? 1 : 0;
    static_cast<void>(callFrame(sound.first(at), at / 2).ok());
  }
  CHECK(known > 0);
}

CHECK_MAIN
