// Processes whose main thread has ended by pthread_exit() or the bare call, while other threads go on.
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <array>
#include <atomic>
#include <functional>

#include "holds.h"
#include "rings.h"

namespace holds {
namespace {

using Body = std::function<void()>;

/** Not joined by anybody. */
void startThread(Body body) {
  auto* own = new Body(std::move(body));
  pthread_t thread;
  const auto run = [](void* argument) -> void* {
    (*static_cast<Body*>(argument))();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, nullptr, run, own) == 0 && pthread_detach(thread) == 0);
}

/** In the only process of a case: `body` goes on in another thread when main() has ended, and holds. */
[[noreturn]] void withoutMain(Body body) {
  startThread([body] {
    until([] { return hasEnded(getpid()); });
    body();
    puts("kept");
    fflush(stdout);
    _exit(0);
  });
  pthread_exit(nullptr);
}

/** A child whose main thread ends with `status`; `body` goes on in another one, and returns when that is to end, too. */
pid_t spawnWithoutMain(int status, const Body& body) {
  const pid_t child = spawn([&] {
    startThread(body);
    syscall(SYS_exit, status);
  });
  until([&] { return hasEnded(child); });
  return child;
}

std::string textOf(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/** How one ends here whose main thread has ended with `status` and the last one by itself: the kernel took the one's, and from Linux 5.19
 * on takes the other's. */
int endOf(int status) {
  static Pipe go;
  const pid_t child = spawnWithoutMain(status, [] { take(go.read, 1); });
  int told = -1;
  REQUIRE(put(go.write, "x") == 0 && waitpid(child, &told, 0) == child);
  return told;
}

std::atomic<int> caught = 0;

struct Work {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
  pthread_barrier_t over;
  int done = 0, left = 4;
  bool isOver = false;
};

/** Each thread keeps something that is its own, and takes its turn under a lock. */
void work(Work& all, int number) {
  static thread_local int own = 0;
  own = number;
  pthread_mutex_lock(&all.mutex);
  ++all.done;
  pthread_cond_broadcast(&all.changed);
  while (!all.isOver) pthread_cond_wait(&all.changed, &all.mutex);
  pthread_mutex_unlock(&all.mutex);
  REQUIRE(own == number);
  pthread_barrier_wait(&all.over);
}

/** What a process asks of itself. */
void checkSelf(pid_t pid, const std::string& directory) {
  std::array<char, 4096> where;
  REQUIRE(getpid() == pid && gettid() != pid && hasEnded(pid) && getcwd(where.data(), where.size()) == directory);
  REQUIRE(textOf("/proc/self/comm") == "first" && textOf("/proc/thread-self/comm") == "second");
  const std::string stat = textOf("/proc/self/stat");
  REQUIRE(stat.starts_with(std::to_string(pid) + " (first) Z ") && kill(pid, 0) == 0);
  std::ifstream maps("/proc/thread-self/maps");
  std::string line;
  REQUIRE(std::getline(maps, line) && !line.empty());
}

/** The whole job, which ends with its last thread. */
void mainThreadGone() {
  static Work all;
  static const pthread_t first = pthread_self();
  REQUIRE(pthread_barrier_init(&all.over, nullptr, 5) == 0 && prctl(PR_SET_NAME, "first") == 0);
  signal(SIGUSR1, [](int) { ++caught; });
  for (int number = 1; number <= 4; ++number) startThread([number] { work(all, number); });
  startThread([pid = getpid()] {
    REQUIRE(prctl(PR_SET_NAME, "second") == 0);
    until([] { return hasEnded(getpid()); });
    pthread_mutex_lock(&all.mutex);
    while (all.done != 4) pthread_cond_wait(&all.changed, &all.mutex);
    pthread_mutex_unlock(&all.mutex);
    checkSelf(pid, home());
    hold();
    checkSelf(pid, home());
    REQUIRE(kill(pid, SIGUSR1) == 0);
    until([] { return caught == 1; });
    pthread_mutex_lock(&all.mutex);
    all.isOver = true;
    pthread_cond_broadcast(&all.changed);
    pthread_mutex_unlock(&all.mutex);
    pthread_barrier_wait(&all.over);
    REQUIRE(pthread_join(first, nullptr) == 0);
    puts("kept");
    fflush(stdout);
  });
  pthread_exit(nullptr);
}

/** How such a process ends is told to its parent: by the end of the last thread, by exit(), by a signal. */
void mainThreadsStatus() {
  static Pipe go;
  const int usual = endOf(7);
  const auto wait = [] { take(go.read, 1); };
  const pid_t last = spawnWithoutMain(7, wait);
  const pid_t exits = spawnWithoutMain(0, [&wait] {
    wait();
    exit(3);
  });
  const pid_t killed = spawnWithoutMain(0, [] {
    while (true) pause();
  });
  const std::array<pid_t, 3> all{last, exits, killed};
  hold();
  int status = 0;
  for (const pid_t pid : all) REQUIRE(hasEnded(pid) && waitpid(pid, &status, WNOHANG) == 0);
  REQUIRE(kill(killed, SIGTERM) == 0 && put(go.write, "xx") == 0);
  REQUIRE(waitpid(last, &status, 0) == last && status == usual);
  REQUIRE(waitpid(exits, &status, 0) == exits && WIFEXITED(status) && WEXITSTATUS(status) == 3);
  REQUIRE(waitpid(killed, &status, 0) == killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/** Left to the keeper by its parent: in the list of processes it looks like one that is over. */
void mainThreadOfOrphanGone() {
  static Pipe go;
  Pipe up;
  const pid_t parent = spawn([&] {
    const pid_t orphan = spawnWithoutMain(0, [] { _exit(take(go.read, 1) == "x" ? 0 : 1); });
    REQUIRE(put(up.write, std::to_string(orphan)) == 0);
  });
  const pid_t orphan = std::stoi(take(up.read));
  REQUIRE(endsWell(parent));
  until([&] { return hasEnded(orphan); });
  hold();
  REQUIRE(hasEnded(orphan) && put(go.write, "x") == 0);
  until([&] { return kill(orphan, 0) != 0; });
}

/** Stopped (^Z), once told and once not. */
void mainThreadOfStoppedGone() {
  static Pipe go;
  const int usual = endOf(5);
  std::array<pid_t, 2> children;
  for (pid_t& child : children) child = spawnWithoutMain(5, [] { take(go.read, 1); });
  for (const pid_t child : children) REQUIRE(kill(child, SIGSTOP) == 0);
  int status = 0;
  REQUIRE(waitpid(children[0], &status, WUNTRACED) == children[0] && WIFSTOPPED(status));
  siginfo_t told{};
  REQUIRE(waitid(P_PID, id_t(children[1]), &told, WSTOPPED | WNOWAIT) == 0);
  hold();
  REQUIRE(waitpid(children[0], &status, WUNTRACED | WNOHANG) == 0);
  REQUIRE(waitpid(children[1], &status, WUNTRACED | WNOHANG) == children[1] && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
  REQUIRE(put(go.write, "xx") == 0);
  for (const pid_t child : children) REQUIRE(kill(child, SIGCONT) == 0);
  for (const pid_t child : children) REQUIRE(waitpid(child, &status, 0) == child && status == usual);
}

bool isLockedFor(int fd) {
  return spawn([&] {
           struct flock lock{};
           lock.l_type = F_WRLCK;
           REQUIRE(fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK && lock.l_pid == getppid());
         }) > 0;
}

/** Descriptors, locks, timers and signals belong to the process, not to the thread that has ended. */
void whatMainThreadLeft() {
  sigset_t blocked;
  sigemptyset(&blocked);
  for (const int number : {SIGUSR2, SIGALRM, SIGRTMIN}) sigaddset(&blocked, number);
  REQUIRE(pthread_sigmask(SIG_BLOCK, &blocked, nullptr) == 0 && kill(getpid(), SIGUSR2) == 0);
  const int file = open("locked", O_CREAT | O_RDWR, 0600), counter = eventfd(5, 0);
  struct flock lock{};
  lock.l_type = F_WRLCK;
  int ends[2];
  REQUIRE(fcntl(file, F_SETLK, &lock) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && put(ends[0], "under way") == 0);
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGRTMIN;
  static timer_t timer;
  const itimerspec soon{{0, 0}, {0, 400000000}};
  const itimerval late{{0, 0}, {3600, 0}};
  REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &soon, nullptr) == 0);
  REQUIRE(setitimer(ITIMER_REAL, &late, nullptr) == 0);
  withoutMain([=] {
    hold();
    sigset_t pending;
    REQUIRE(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR2) == 1);
    itimerval left{};
    uint64_t count = 0;
    REQUIRE(getitimer(ITIMER_REAL, &left) == 0 && left.it_value.tv_sec > 3000);
    REQUIRE(read(counter, &count, sizeof count) == sizeof count && count == 5 && take(ends[1]) == "under way");
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGRTMIN);
    REQUIRE(sigwaitinfo(&one, nullptr) == SIGRTMIN && isLockedFor(file));
    int status = -1;
    REQUIRE(wait(&status) > 0 && status == 0);
  });
}

/** Those that main() has made, and those that another thread has. */
void childrenOfLostMain() {
  static Pipe go;
  const auto child = [] { take(go.read, 1); };
  const pid_t early = spawn(child);
  withoutMain([=] {
    const pid_t late = spawn(child), zombie = spawn([] { _exit(9); });
    until([&] { return hasEnded(zombie); });
    hold();
    int status = 0;
    REQUIRE(put(go.write, "xx") == 0 && endsWell(early) && endsWell(late));
    REQUIRE(waitpid(zombie, &status, 0) == zombie && WIFEXITED(status) && WEXITSTATUS(status) == 9);
  });
}

/** Threads that end one after the other, main() among them, while the job is being stopped. */
void threadsThatEnd() {
  static std::atomic<bool> isEnough = false;
  static std::atomic<int> made = 0;
  const auto child = [] {
    const pid_t pid = spawn([] {
      startThread([] { usleep(useconds_t(getpid() % 7 * 300)); });
      usleep(useconds_t(getpid() % 5 * 300));
      syscall(SYS_exit, 0);
    });
    REQUIRE(endsWell(pid));
    ++made;
  };
  startThread([child] {
    while (!isEnough) child();
    made = -1;
  });
  until([] { return made > 5; });
  hold();
  isEnough = true;
  until([] { return made == -1; });
}

void deathSignalOfLostMain() {
  static Pipe go;
  withoutMain([] {
    Pipe up;
    const pid_t child = spawn([&up] {
      REQUIRE(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && put(up.write, "x") == 0);
      take(go.read, 1);
    });
    REQUIRE(take(up.read, 1) == "x");
    hold();
    REQUIRE(put(go.write, "x") == 0 && endsWell(child));
  });
}

void ringOfLostMain() {
  static Ring ring(8);
  ring.nothing(1);
  withoutMain([] {
    hold();
    ring.nothing(2);
  });
}

const Case kGone(Supported{"mainThreadGone", "tasks", "a process whose main thread has ended (pthread_exit in main) while others go on",
                           "restored"},
                 mainThreadGone);
const Case kStatus(Supported{"mainThreadsStatus", "tasks", "the exit status of such a process", "restored"}, mainThreadsStatus);
const Case kOrphan(Supported{"mainThreadOfOrphanGone", "tasks", "a process without parent and main thread", "restored"},
                   mainThreadOfOrphanGone);
const Case kStopped(Supported{"mainThreadOfStoppedGone", "tasks", "a stopped (^Z) process without main thread", "restored"},
                    mainThreadOfStoppedGone);
const Case kLeft(Supported{"whatMainThreadLeft", "tasks", "descriptors, locks, timers and signals of a process without main thread",
                           "restored"},
                 whatMainThreadLeft);
const Case kChildren(Supported{"childrenOfLostMain", "tasks", "children of a process without main thread", "restored"}, childrenOfLostMain);
const Case kEnding(Supported{"threadsThatEnd", "tasks", "main threads that end while the job is being stopped", "restored"},
                   threadsThatEnd);
const Case kDeath(Supported{"deathSignalOfLostMain", "tasks", "a parent-death signal of a child of a process without main thread",
                            "refused: wants a signal when the thread that made it ends"},
                  deathSignalOfLostMain);
const Case kRing(Supported{"ringOfLostMain", "tasks", "an io_uring of a process without main thread", "refused: and it uses io_uring"},
                 ringOfLostMain);

}  // namespace
}  // namespace holds
