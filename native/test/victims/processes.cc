// A family: shared memory, zombies, groups, sessions, orphans; and one process's signals and timers.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/ucontext.h>
#include <sys/wait.h>
#include <unistd.h>

#include "victim.h"

namespace {

struct Shared {
  pthread_mutex_t mutex;
  pthread_cond_t condition;
  uint64_t counter, lastTurn;
  pid_t orphan;
  volatile int stop;
};

Shared* shared;
int order[16];
volatile sig_atomic_t received = 0, alarms = 0, timerSignals = 0, insideHandler = 0;
char altstack[65536];

void onRealtime(int, siginfo_t* info, void*) {
  order[received] = info->si_value.sival_int;
  received = received + 1;
}

void onUser(int, siginfo_t*, void*) {
  char here = 0;
  insideHandler = &here > altstack && &here < altstack + sizeof altstack ? 1 : 2;
  while (!mayEnd("go")) {
  }  // the checkpoints fall in here
  insideHandler = insideHandler == 1 && &here > altstack && &here < altstack + sizeof altstack ? 3 : 4;
}

pid_t spawn(void (*body)()) {
  const pid_t pid = fork();
  if (pid == 0) {
    body();
    _exit(0);
  }
  return pid;
}

void playRing() {
  pthread_mutex_lock(&shared->mutex);
  while (shared->stop == 0) {
    while (shared->lastTurn == uint64_t(getpid()) && shared->stop == 0) pthread_cond_wait(&shared->condition, &shared->mutex);
    shared->lastTurn = uint64_t(getpid());
    ++shared->counter;
    pthread_cond_broadcast(&shared->condition);
    pthread_mutex_unlock(&shared->mutex);
    usleep(1000);
    pthread_mutex_lock(&shared->mutex);
  }
  pthread_mutex_unlock(&shared->mutex);
}

void leadSession() {
  REQUIRE(setsid() == getpid());
  const pid_t child = spawn([] {
    REQUIRE(setpgid(0, 0) == 0);
    pause();
  });
  pause();
  (void)child;
}

/** A daemon: its parent, the leader of its group and session, ends at once. */
void makeOrphan() {
  setsid();
  spawn([] {
    const pid_t session = getsid(0), group = getpgid(0);
    usleep(50000);
    shared->orphan = getpid();
    while (shared->stop == 0) usleep(2000);
    REQUIRE(getsid(0) == session && getpgid(0) == group && session != getpid());
  });
}

void checkSignals() {
  struct sigaction action{};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = onRealtime;
  sigfillset(&action.sa_mask);  // one after the other, not on top of each other
  sigset_t set;
  sigemptyset(&set);
  for (int i = 0; i < 4; ++i) sigaddset(&set, SIGRTMIN + i), sigaction(SIGRTMIN + i, &action, nullptr);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  for (int i = 0; i < 6; ++i) {
    sigval value{};
    value.sival_int = i;
    REQUIRE(sigqueue(getpid(), SIGRTMIN + i % 2, value) == 0);
  }
  stack_t stack{};
  stack.ss_sp = altstack;
  stack.ss_size = sizeof altstack;
  REQUIRE(sigaltstack(&stack, nullptr) == 0);
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  action.sa_sigaction = onUser;
  sigaction(SIGUSR1, &action, nullptr);
  signal(SIGALRM, [](int) { alarms = alarms + 1; });
  signal(SIGUSR2, [](int) { timerSignals = timerSignals + 1; });
  const itimerval ticks{{0, 100000}, {0, 100000}};
  setitimer(ITIMER_REAL, &ticks, nullptr);
  timer_t unused, timer;
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGUSR2;
  REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &unused) == 0 && timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  REQUIRE(timer_delete(unused) == 0);
  const itimerspec spec{{0, 100000000}, {0, 100000000}};
  REQUIRE(timer_settime(timer, 0, &spec, nullptr) == 0);
  raise(SIGUSR1);
  REQUIRE(insideHandler == 3);
  const int64_t ticksDue = runMs() / 100;
  // These signals do not queue: a busy machine, or one that takes long to restart, makes fewer of them. Nothing makes more, and they go on.
  REQUIRE(alarms <= ticksDue + 6 && timerSignals <= ticksDue + 6);
  const int lastAlarms = alarms, lastTimerSignals = timerSignals;
  while (alarms < lastAlarms + 2 || timerSignals < lastTimerSignals + 2) usleep(1000);
  itimerspec left{};
  REQUIRE(timer_gettime(timer, &left) == 0 && left.it_interval.tv_nsec == 100000000);
  const itimerval none{};
  setitimer(ITIMER_REAL, &none, nullptr);
  timer_delete(timer);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  const int expected[6] = {0, 2, 4, 1, 3, 5};
  REQUIRE(received == 6 && memcmp(order, expected, sizeof expected) == 0);
}

void prepareShared() {
  shared = static_cast<Shared*>(mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  pthread_mutexattr_t mutex;
  pthread_mutexattr_init(&mutex);
  pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&shared->mutex, &mutex);
  pthread_condattr_t condition;
  pthread_condattr_init(&condition);
  pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
  pthread_cond_init(&shared->condition, &condition);
}

}  // namespace

int main() {
  runMs();
  prctl(PR_SET_NAME, "family");
  prepareShared();
  const pid_t players[2] = {spawn(playRing), spawn(playRing)};
  const pid_t leader = spawn(leadSession);
  int status = 0;
  const pid_t maker = spawn(makeOrphan);
  REQUIRE(waitpid(maker, &status, 0) == maker);
  const pid_t ended = spawn([] { _exit(7); });
  const pid_t killed = spawn([] { raise(SIGKILL); });
  const pid_t stopped = spawn([] {
    raise(SIGSTOP);
    _exit(9);
  });
  usleep(60000);
  checkSignals();
  REQUIRE(shared->counter > 50 && shared->orphan > 0);
  REQUIRE(waitpid(ended, &status, 0) == ended && WIFEXITED(status) && WEXITSTATUS(status) == 7);
  REQUIRE(waitpid(killed, &status, 0) == killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  REQUIRE(waitpid(stopped, &status, WUNTRACED) == stopped && WIFSTOPPED(status));
  REQUIRE(kill(stopped, SIGCONT) == 0 && waitpid(stopped, &status, 0) == stopped && WEXITSTATUS(status) == 9);
  REQUIRE(getsid(leader) == leader && getpgid(leader) == leader);
  REQUIRE(kill(shared->orphan, 0) == 0);
  shared->stop = 1;
  pthread_cond_broadcast(&shared->condition);
  for (const pid_t player : players) REQUIRE(waitpid(player, &status, 0) == player && status == 0);
  REQUIRE(kill(-leader, SIGTERM) == 0 && waitpid(leader, &status, 0) == leader && WTERMSIG(status) == SIGTERM);
  char name[16];
  REQUIRE(prctl(PR_GET_NAME, name) == 0 && strcmp(name, "family") == 0);
  puts("family kept");
  return 0;
}
