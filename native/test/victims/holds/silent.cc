// What a restart could easily lose without a word.
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <time.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "holds.h"

namespace holds {
namespace {

constexpr size_t kPage = 4096;

char* pages(size_t count, int kind) {
  void* area = mmap(nullptr, count * kPage, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0);
  REQUIRE(area != MAP_FAILED);
  return static_cast<char*>(area);
}

int modeAt(char* address, unsigned long& nodes) {
  int mode = -1;
  REQUIRE(syscall(SYS_get_mempolicy, &mode, &nodes, 8 * sizeof nodes, address, MPOL_F_ADDR) == 0);
  return mode;
}

void areaPolicy() {
  char* own = pages(16, MAP_PRIVATE);
  char* common = pages(16, MAP_SHARED);
  unsigned long first = 1, nodes = 0;
  const auto bind = [&](char* at, int mode) { return syscall(SYS_mbind, at, 4 * kPage, mode, &first, 8 * sizeof first, 0); };
  constexpr int kStatic = MPOL_BIND | MPOL_F_STATIC_NODES;
  if (bind(own + 4 * kPage, kStatic) != 0) notHere();
  REQUIRE(bind(common + 4 * kPage, MPOL_PREFERRED) == 0);
  own[5 * kPage] = common[5 * kPage] = 'x';
  hold();
  REQUIRE(modeAt(own + 5 * kPage, nodes) == kStatic && nodes == 1 && modeAt(own, nodes) == MPOL_DEFAULT && own[5 * kPage] == 'x');
  REQUIRE(modeAt(common + 5 * kPage, nodes) == MPOL_PREFERRED && nodes == 1 && modeAt(common, nodes) == MPOL_DEFAULT);
}

/** struct sched_attr as of its first version. */
struct Scheduling {
  uint32_t size = sizeof(Scheduling), policy = 0;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime = 0, deadline = 0, period = 0;
};

uint64_t slice() {
  Scheduling now;
  return syscall(SYS_sched_getattr, 0, &now, sizeof now, 0) == 0 ? now.runtime : 0;
}

/** Each where this kernel has it. */
void newerSettings() {
  REQUIRE(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
  Scheduling wanted;
  wanted.runtime = 5000000;
  REQUIRE(syscall(SYS_sched_setattr, 0, &wanted, 0) == 0);
  const uint64_t given = slice();
  constexpr int kExceptAdvised = 2;
  prctl(PR_SET_THP_DISABLE, 1, kExceptAdvised, 0, 0);
  const int hugePages = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);
  hold();
  REQUIRE(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_EARLY && prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0) == 1);
  REQUIRE(slice() == given && prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == hugePages);
}

void attributesOfNameless() {
  const int file = open("file", O_RDWR | O_CREAT, 0600), memory = memfd_create("memory", MFD_CLOEXEC);
  REQUIRE(put(file, "x") == 0 && unlink("file") == 0);
  if (fsetxattr(file, "user.colour", "blue", 4, 0) != 0) notHere();
  const bool ofMemory = fsetxattr(memory, "user.colour", "red", 3, 0) == 0;
  REQUIRE(fchmod(file, 0400) == 0);
  hold();
  char value[16];
  REQUIRE(fgetxattr(file, "user.colour", value, sizeof value) == 4 && memcmp(value, "blue", 4) == 0);
  struct stat info{};
  REQUIRE(fstat(file, &info) == 0 && (info.st_mode & 07777) == 0400);
  REQUIRE(!ofMemory || (fgetxattr(memory, "user.colour", value, sizeof value) == 3 && memcmp(value, "red", 3) == 0));
}

void modeOfRemoved() {
  REQUIRE(mkdir("place", 0700) == 0 && chdir("place") == 0 && chmod(".", 0710) == 0 && rmdir("../place") == 0);
  hold();
  struct stat info{};
  REQUIRE(stat(".", &info) == 0 && (info.st_mode & 07777) == 0710 && info.st_nlink == 0);
}

/** It has more queued and locked than it could queue and lock now. */
void loweredLimits() {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  for (int i = 0; i < 20; ++i) REQUIRE(sigqueue(getpid(), SIGRTMIN, sigval{.sival_int = i}) == 0);
  char* locked = pages(4, MAP_PRIVATE);
  const rlimit few{5, 5}, none{0, 0};
  REQUIRE(mlock(locked, 4 * kPage) == 0 && setrlimit(RLIMIT_SIGPENDING, &few) == 0 && setrlimit(RLIMIT_MEMLOCK, &none) == 0);
  hold();
  sigemptyset(&all);
  sigaddset(&all, SIGRTMIN);
  for (int i = 0; i < 20; ++i) {
    siginfo_t info{};
    const timespec now{};
    REQUIRE(sigtimedwait(&all, &info, &now) == SIGRTMIN && info.si_value.sival_int == i);
  }
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line) && !line.starts_with("VmLck:")) {
  }
  REQUIRE(line.find(" 16 kB") != std::string::npos);
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_SIGPENDING, &limit) == 0 && limit.rlim_cur == 5 && getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
          limit.rlim_max == 0);
}

/** `tell` says what the other thread is to do next. */
void timersOfThreads() {
  static std::atomic<int> tell{0};
  static timer_t others, leaders;
  const auto make = [](timer_t& timer, int notify) {
    sigevent event{};
    event.sigev_notify = notify;
    event.sigev_signo = SIGUSR1;
    event._sigev_un._tid = pid_t(syscall(SYS_gettid));
    const itimerspec spec{{0, 0}, {50, 0}};
    REQUIRE(timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) == 0 && timer_settime(timer, 0, &spec, nullptr) == 0);
  };
  std::thread other([&] {
    make(others, SIGEV_THREAD_ID);
    tell = 1;
    until([] { return tell == 2; });
    const int64_t end = clockNs(CLOCK_THREAD_CPUTIME_ID) + 100000000;
    while (clockNs(CLOCK_THREAD_CPUTIME_ID) < end) {
    }
    tell = 3;
    until([] { return tell == 4; });
  });
  until([] { return tell == 1; });
  make(leaders, SIGEV_NONE);
  hold();
  const auto left = [](timer_t timer) {
    itimerspec now{};
    REQUIRE(timer_gettime(timer, &now) == 0);
    return int64_t(now.it_value.tv_sec) * 1000000000 + now.it_value.tv_nsec;
  };
  const int64_t othersBefore = left(others), leadersBefore = left(leaders);
  tell = 2;
  until([] { return tell == 3; });
  REQUIRE(othersBefore - left(others) >= 100000000 && leadersBefore - left(leaders) < othersBefore - left(others));
  tell = 4;
  other.join();
}

/** Each of the first `count` numbers comes once, with this signal, which is blocked. */
void takeEach(int number, int count) {
  std::vector<int> times(size_t(count), 0);
  const timespec patience{2, 0}, rest{0, 100000000};
  siginfo_t info{};
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, number);
  for (int taken = 0; taken < count; ++taken) {
    REQUIRE(sigtimedwait(&one, &info, &patience) == number);
    REQUIRE(++times[size_t(info.si_value.sival_int)] == 1);
  }
  REQUIRE(sigtimedwait(&one, &info, &rest) == -1);
}

/** One after the other, all the time that the job is being stopped and looked at: half of them tell the process, half a thread. */
void timersThatRunOut() {
  constexpr int kEach = 200, kSpacingNs = 200000;
  const int ofProcess = SIGRTMIN, ofThread = SIGRTMIN + 1;
  static std::atomic<pid_t> tid{0};
  static std::atomic<bool> isOver{false};
  sigset_t both;
  sigemptyset(&both);
  sigaddset(&both, ofProcess);
  sigaddset(&both, ofThread);
  REQUIRE(pthread_sigmask(SIG_BLOCK, &both, nullptr) == 0);
  std::thread other([=] {
    tid = pid_t(syscall(SYS_gettid));
    until([] { return isOver.load(); });
    takeEach(ofThread, kEach);
  });
  until([] { return tid != 0; });
  std::vector<timer_t> timers(2 * kEach);
  for (size_t index = 0; index < timers.size(); ++index) {
    sigevent event{};
    event.sigev_notify = index % 2 == 0 ? SIGEV_SIGNAL : SIGEV_THREAD_ID;
    event.sigev_signo = index % 2 == 0 ? ofProcess : ofThread;
    event.sigev_value.sival_int = int(index / 2);
    event._sigev_un._tid = tid;
    REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timers[index]) == 0);
  }
  for (size_t index = 0; index < timers.size(); ++index) {
    const itimerspec spec{{0, 0}, {0, 1 + long(index / 2) * kSpacingNs}};
    REQUIRE(timer_settime(timers[index], 0, &spec, nullptr) == 0);
  }
  hold();
  isOver = true;
  takeEach(ofProcess, kEach);
  other.join();
}

/** A timer of another thread's time that tells that thread nothing. */
void timerOfSomeThread() {
  static std::atomic<int> tell{0};
  std::thread other([] {
    sigevent event{};
    event.sigev_notify = SIGEV_NONE;
    timer_t timer;
    const itimerspec spec{{0, 0}, {50, 0}};
    REQUIRE(timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) == 0 && timer_settime(timer, 0, &spec, nullptr) == 0);
    tell = 1;
    until([] { return tell == 2; });
  });
  until([] { return tell == 1; });
  hold();
  tell = 2;
  other.join();
}

const Case kPolicy(Supported{"areaPolicy", "memory", "memory policies of areas (mbind)", "restored"}, areaPolicy);
const Case kNewer(Supported{"newerSettings", "tasks",
                            "time slices, machine-check policy, kept capabilities, huge pages but where asked for", "restored"},
                  newerSettings);
const Case kNameless(Supported{"attributesOfNameless", "descriptors", "extended attributes of unlinked files and memfds", "restored"},
                     attributesOfNameless);
const Case kRemoved(Supported{"modeOfRemoved", "tasks", "the permissions of a working directory that was removed", "restored"},
                    modeOfRemoved);
const Case kLowered(Supported{"loweredLimits", "tasks", "more queued signals and locked memory than the limits allow now", "restored"},
                    loweredLimits);
const Case kThreadTimers(Supported{"timersOfThreads", "time and signals", "timers of a thread's processor time", "restored"},
                         timersOfThreads);
const Case kRunOut(Supported{"timersThatRunOut", "time and signals", "timers that run out while the job is being stopped", "restored"},
                   timersThatRunOut);
const Case kSomeThread(Supported{"timerOfSomeThread", "time and signals",
                                 "timers of the processor time of a thread that is neither told by them nor the first one",
                                 "refused: nobody is told of which"},
                       timerOfSomeThread);

}  // namespace
}  // namespace holds
