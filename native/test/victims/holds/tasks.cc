// Processes, threads, and what the kernel knows of them.
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <fstream>

#include "holds.h"

namespace holds {
namespace {

// Of linux/ioprio.h, which is no C++ in newer versions of Linux's headers.
constexpr int kIoPriorityOfProcess = 1;
constexpr int kBestEffortSix = 2 << 13 | 6;

/** A job in the background whose shell has gone, in a group whose leader is gone, too. */
void groupWithoutLeader() {
  Pipe go, number;
  const pid_t leader = spawn([&] {
    REQUIRE(setpgid(0, 0) == 0);
    const pid_t member = spawn([&] {
      take(go.read, 1);
      REQUIRE(getpgid(0) != getpid());
    });
    REQUIRE(write(number.write, &member, sizeof member) == sizeof member);
  });
  REQUIRE(endsWell(leader));
  pid_t member = 0;
  REQUIRE(read(number.read, &member, sizeof member) == sizeof member);
  hold();
  REQUIRE(getpgid(member) == leader && kill(-leader, 0) == 0 && put(go.write, "x") == 0);
  until([&] { return kill(member, 0) != 0; });
}

void stoppedJob() {
  Pipe go;
  const pid_t job = spawn([&] {
    REQUIRE(setpgid(0, 0) == 0);  // the group of an orphan does not stop
    raise(SIGTSTP);
    take(go.read, 1);
    _exit(4);
  });
  int status = 0;
  REQUIRE(waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status));
  const pid_t untold = spawn([] { raise(SIGSTOP); });  // stopped, and its parent has not asked yet
  const pid_t reader = spawn([&] {
    REQUIRE(setpgid(0, 0) == 0);
    raise(SIGTTIN);
  });
  siginfo_t info{};
  for (const pid_t each : {untold, reader}) REQUIRE(waitid(P_PID, id_t(each), &info, WSTOPPED | WNOWAIT) == 0);
  hold();
  REQUIRE(waitpid(reader, &status, WUNTRACED) == reader && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
  REQUIRE(kill(reader, SIGCONT) == 0 && endsWell(reader));
  REQUIRE(waitpid(job, &status, WNOHANG | WUNTRACED) == 0);
  REQUIRE(waitpid(untold, &status, WUNTRACED) == untold && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
  REQUIRE(kill(job, SIGCONT) == 0 && waitpid(job, &status, WCONTINUED) == job && WIFCONTINUED(status));
  REQUIRE(put(go.write, "x") == 0 && waitpid(job, &status, 0) == job && WEXITSTATUS(status) == 4);
  REQUIRE(kill(untold, SIGCONT) == 0 && endsWell(untold));
}

void zombies() {
  signal(SIGCHLD, SIG_DFL);
  const pid_t exited = spawn([] { _exit(42); }), killed = spawn([] { raise(SIGTERM); }), aborted = spawn([] { abort(); });
  siginfo_t info{};
  for (const pid_t each : {exited, killed, aborted}) REQUIRE(waitid(P_PID, id_t(each), &info, WEXITED | WNOWAIT) == 0);
  hold();
  int status = 0;
  REQUIRE(waitpid(exited, &status, 0) == exited && WEXITSTATUS(status) == 42);
  REQUIRE(waitpid(killed, &status, 0) == killed && WTERMSIG(status) == SIGTERM);
  REQUIRE(waitpid(aborted, &status, 0) == aborted && WTERMSIG(status) == SIGABRT);
}

/** Three generations of zombies, daemons and grandchildren in groups of each other. */
void families() {
  Pipe go, up;
  for (int i = 0; i < 5; ++i) {
    const pid_t branch = spawn([&] {
      setpgid(0, 0);
      for (int k = 0; k < 3; ++k) {
        spawn([&] {
          if (k == 2) setsid();
          spawn([] { _exit(1); });
          put(up.write, "x");
          take(go.read, 1);
          int status = 0;
          REQUIRE(wait(&status) > 0 && WEXITSTATUS(status) == 1);
        });
      }
      int status = 0;
      for (int k = 0; k < 3; ++k) REQUIRE(wait(&status) > 0 && status == 0);
    });
    setpgid(branch, branch);
  }
  for (int i = 0; i < 15; ++i) REQUIRE(take(up.read, 1) == "x");
  hold();
  REQUIRE(put(go.write, std::string(15, 'x')) == 0);
  int status = 0;
  for (int i = 0; i < 5; ++i) REQUIRE(wait(&status) > 0 && status == 0);
}

/** Processes come and go all the time, also while the job is being stopped; no end of one is lost, or told twice. */
void forkStorm() {
  const std::string go = home() + "/go";
  std::vector<pid_t> storms;
  for (int i = 0; i < 3; ++i)
    storms.push_back(spawn([&] {
      for (int round = 0; access(go.c_str(), F_OK) != 0; ++round) {
        const pid_t child = spawn([=] {
          if (round % 3 == 0 && !endsWell(spawn([] {}))) _exit(1);
          _exit(round % 100 + 2);
        });
        int status = 0;
        REQUIRE(waitpid(-1, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == round % 100 + 2);
        REQUIRE(waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD);
      }
    }));
  hold();
  for (const pid_t each : storms) REQUIRE(endsWell(each));
}

void manyProcesses() {
  Pipe go, up;
  std::vector<pid_t> all;
  for (int i = 0; i < 200; ++i)
    all.push_back(spawn([&] {
      put(up.write, "x");
      take(go.read, 1);
    }));
  for (int i = 0; i < 200; ++i) REQUIRE(take(up.read, 1) == "x");
  hold();
  REQUIRE(put(go.write, std::string(200, 'x')) == 0);
  for (const pid_t each : all) REQUIRE(endsWell(each));
}

void manyThreads() {
  static pthread_barrier_t barrier;
  constexpr size_t kCount = 400;
  pthread_barrier_init(&barrier, nullptr, kCount + 1);
  std::vector<pthread_t> threads(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    REQUIRE(pthread_create(
                &threads[i], &attributes,
                [](void* argument) -> void* {
                  char name[16];
                  snprintf(name, sizeof name, "number %zu", size_t(argument));
                  prctl(PR_SET_NAME, name);
                  pthread_barrier_wait(&barrier);
                  char now[16];
                  REQUIRE(prctl(PR_GET_NAME, now) == 0 && strcmp(name, now) == 0);
                  return argument;
                },
                reinterpret_cast<void*>(i)) == 0);
  }
  hold();
  pthread_barrier_wait(&barrier);
  for (size_t i = 0; i < kCount; ++i) {
    void* result = nullptr;
    REQUIRE(pthread_join(threads[i], &result) == 0 && size_t(result) == i);
  }
}

void ownDirectory() {
  mkdir("elsewhere", 0700);
  pthread_t thread;
  Pipe go, up;
  static Pipe* pipes[2];
  pipes[0] = &go, pipes[1] = &up;
  pthread_create(
      &thread, nullptr,
      [](void*) -> void* {
        REQUIRE(unshare(CLONE_FS) == 0 && chdir("elsewhere") == 0);
        umask(077);
        put(pipes[1]->write, "x");
        take(pipes[0]->read, 1);
        char where[4096];
        REQUIRE(getcwd(where, sizeof where) != nullptr && std::string(where) == home() + "/elsewhere" && umask(0) == 077);
        return nullptr;
      },
      nullptr);
  REQUIRE(take(up.read, 1) == "x");
  hold();
  put(go.write, "x");
  pthread_join(thread, nullptr);
  char where[4096];
  REQUIRE(getcwd(where, sizeof where) != nullptr && where == home());
}

void ownTable() {
  pthread_t thread;
  Pipe go, up;
  static Pipe* pipes[2];
  static int mine = -1;
  pipes[0] = &go, pipes[1] = &up;
  pthread_create(
      &thread, nullptr,
      [](void*) -> void* {
        REQUIRE(unshare(CLONE_FILES) == 0);
        mine = open("/dev/null", O_WRONLY);
        close(pipes[0]->write);
        put(pipes[1]->write, "x");
        take(pipes[0]->read, 1);
        REQUIRE(put(mine, "x") == 0 && fcntl(pipes[0]->write, F_GETFD) == -1);
        return nullptr;
      },
      nullptr);
  REQUIRE(take(up.read, 1) == "x");
  hold();
  REQUIRE(fcntl(mine, F_GETFD) == -1);
  put(go.write, "x");
  pthread_join(thread, nullptr);
}

/** The leader of the session is gone; its member's parent is a living process in another session. */
void sessionWithoutLeader() {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  Pipe go, number;
  const pid_t leader = spawn([&] {
    REQUIRE(setsid() == getpid());
    const pid_t member = spawn([&] { take(go.read, 1); });
    REQUIRE(write(number.write, &member, sizeof member) == sizeof member);
  });
  REQUIRE(endsWell(leader));
  pid_t member = 0;
  REQUIRE(read(number.read, &member, sizeof member) == sizeof member);
  hold();
  REQUIRE(getsid(member) == leader && getpgid(member) == leader && put(go.write, "x") == 0 && endsWell(member));
}

/** posix_spawn's parent sleeps uninterruptibly until its child executes; here that takes until after the restart. */
void vforkInProgress() {
  Pipe go;
  static Pipe* pipe = &go;
  pthread_t thread;
  static volatile pid_t self = 0;
  pthread_create(
      &thread, nullptr,
      [](void*) -> void* {
        self = pid_t(syscall(SYS_gettid));
        const pid_t child = vfork();
        if (child == 0) {
          char byte;
          if (read(pipe->read, &byte, 1) != 1) _exit(9);
          _exit(0);
        }
        REQUIRE(endsWell(child));
        return nullptr;
      },
      nullptr);
  until([] {
    std::ifstream file("/proc/self/task/" + std::to_string(self) + "/stat");
    std::string text;
    return self != 0 && std::getline(file, text) && text.find(") D ") != std::string::npos;
  });
  hold();
  put(go.write, "x");
  pthread_join(thread, nullptr);
}

void attributes() {
  REQUIRE(prctl(PR_SET_PDEATHSIG, SIGUSR2) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  REQUIRE(prctl(PR_SET_TIMERSLACK, 123456) == 0 && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
  REQUIRE(setpriority(PRIO_PROCESS, 0, 7) == 0 && personality(ADDR_NO_RANDOMIZE | UNAME26) >= 0);
  REQUIRE(syscall(SYS_ioprio_set, kIoPriorityOfProcess, 0, kBestEffortSix) == 0);
  const sched_param none{};
  REQUIRE(sched_setscheduler(0, SCHED_BATCH, &none) == 0);
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(0, &cpus);
  REQUIRE(sched_setaffinity(0, sizeof cpus, &cpus) == 0);
  const rlimit core{0, 1 << 20}, files{222, 333};
  REQUIRE(setrlimit(RLIMIT_CORE, &core) == 0 && setrlimit(RLIMIT_NOFILE, &files) == 0);
  std::ofstream("/proc/self/oom_score_adj") << 555;
  std::ofstream("/proc/self/coredump_filter") << 0x7f;
  umask(057);
  hold();
  int value = 0;
  REQUIRE(prctl(PR_GET_CHILD_SUBREAPER, &value) == 0 && value == 1 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
  REQUIRE(prctl(PR_GET_TIMERSLACK) == 123456 && prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1 && getpriority(PRIO_PROCESS, 0) == 7);
  REQUIRE(personality(0xffffffff) == (ADDR_NO_RANDOMIZE | UNAME26) && syscall(SYS_ioprio_get, kIoPriorityOfProcess, 0) == kBestEffortSix);
  REQUIRE(sched_getscheduler(0) == SCHED_BATCH && sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) == 1);
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 && limit.rlim_max == 1 << 20);
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 222 && limit.rlim_max == 333 && umask(0) == 057);
  std::ifstream("/proc/self/oom_score_adj") >> value;
  REQUIRE(value == 555);
  std::ifstream("/proc/self/coredump_filter") >> std::hex >> value;
  REQUIRE(value == 0x7f);
}

void deathSignal() {
  Pipe up;
  const pid_t child = spawn([&] {
    REQUIRE(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
    put(up.write, "x");
    int now = 0;
    hold();
    REQUIRE(prctl(PR_GET_PDEATHSIG, &now) == 0 && now == SIGUSR1);
  });
  REQUIRE(take(up.read, 1) == "x" && endsWell(child));
}

void machineSettings() {
  REQUIRE(prctl(PR_SET_TSC, PR_TSC_SIGSEGV) == 0);
  const bool mdwe = prctl(65, 1, 0, 0, 0) == 0;  // PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN
  const bool speculation = prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, PR_SPEC_DISABLE, 0, 0) == 0;
  hold();
  int tsc = 0;
  REQUIRE(prctl(PR_GET_TSC, &tsc) == 0 && tsc == PR_TSC_SIGSEGV && (!mdwe || prctl(66, 0, 0, 0, 0) == 1));
  REQUIRE(!speculation || prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0) == (PR_SPEC_PRCTL | PR_SPEC_DISABLE));
}

void notDumpable() {
  REQUIRE(prctl(PR_SET_DUMPABLE, 0) == 0);
  hold();
}

const Case kGroup(Supported{"groupWithoutLeader", "tasks", "process groups whose leader is gone", "restored"}, groupWithoutLeader);
const Case kStopped(Supported{"stoppedJob", "tasks", "stopped (^Z) jobs, also those whose parent has not asked yet", "restored"},
                    stoppedJob);
const Case kZombies(Supported{"zombies", "tasks", "zombies with exit codes and signals", "restored"}, zombies);
const Case kFamilies(Supported{"families", "tasks", "process trees with groups, sessions and zombies", "restored"}, families);
const Case kStorm(Supported{"forkStorm", "tasks", "processes that are made and end while the job is being stopped", "restored"}, forkStorm);
const Case kProcesses(Supported{"manyProcesses", "tasks", "hundreds of processes", "restored"}, manyProcesses);
const Case kThreads(Supported{"manyThreads", "tasks", "hundreds of threads with names", "restored"}, manyThreads);
const Case kOwnFs(Supported{"threadDirectory", "tasks", "threads with a working directory and umask of their own", "restored"},
                  ownDirectory);
const Case kOwnFiles(Supported{"threadTable", "tasks", "threads with descriptors of their own", "refused: its own descriptor table"},
                     ownTable);
const Case kSession(Supported{"sessionWithoutLeader", "tasks", "sessions whose leader is gone, a member with a parent in another session",
                              "restored"},
                    sessionWithoutLeader);
const Case kVfork(Supported{"vforkInProgress", "tasks", "a vfork whose child has not executed yet", "refused: vfork child"},
                  vforkInProgress);
const Case kAttributes(Supported{"attributes", "tasks",
                                 "subreaper, no_new_privs, timer slack, personality, nice, scheduling class, I/O priority, affinity, "
                                 "limits, oom_score_adj, coredump_filter, umask",
                                 "restored"},
                       attributes);
const Case kDeath(Supported{"deathSignal", "tasks", "parent-death signals", "restored"}, deathSignal);
const Case kMachine(Supported{"machineSettings", "tasks", "prctl: TSC, MDWE, speculation control", "restored"}, machineSettings);
const Case kDumpable(Supported{"notDumpable", "tasks", "processes that are not dumpable", "refused: may not be traced"}, notDumpable);

}  // namespace
}  // namespace holds
