// One thread in every kind of blocking call: none of them may notice anything. argv[1]: milliseconds.
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "victim.h"

namespace {

int64_t limit = 0;
int pipeEnds[2], idlePipe[2], event, watched;
sem_t semaphore;
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
bool woken = false;
uint32_t word = 1;
pid_t child = 0;

void* inRead(void*) {
  char byte = 0;
  REQUIRE(read(pipeEnds[0], &byte, 1) == 1 && byte == 'r');
  return nullptr;
}
void* inEventRead(void*) {
  uint64_t value = 0;
  REQUIRE(read(event, &value, sizeof value) == sizeof value && value == 7);
  return nullptr;
}
void* inNanosleep(void*) {
  timespec time{limit / 1000 + 0, (limit % 1000) * 1000000}, rest{};
  const int64_t start = clockNs(CLOCK_MONOTONIC);
  REQUIRE(nanosleep(&time, &rest) == 0);
  const int64_t slept = (clockNs(CLOCK_MONOTONIC) - start) / 1000000;
  REQUIRE(slept >= limit);  // a relative time begins anew at a restart, so it has no upper bound
  return nullptr;
}
void* inAbsoluteSleep(void*) {
  timespec until{};
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += limit / 1000 + 1;
  REQUIRE(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == 0);
  REQUIRE(clockNs(CLOCK_MONOTONIC) >= int64_t(until.tv_sec) * 1000000000 + until.tv_nsec);
  return nullptr;
}
void* inPoll(void*) {
  pollfd entry{idlePipe[0], POLLIN, 0};
  REQUIRE(poll(&entry, 1, int(limit)) == 0);
  return nullptr;
}
void* inPollForever(void*) {
  pollfd entry{watched, POLLIN, 0};
  REQUIRE(poll(&entry, 1, -1) == 1 && entry.revents == POLLIN);
  return nullptr;
}
void* inSelect(void*) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET(idlePipe[0], &set);
  timeval time{limit / 1000, (limit % 1000) * 1000};
  REQUIRE(select(idlePipe[0] + 1, &set, nullptr, nullptr, &time) == 0);
  return nullptr;
}
void* inEpoll(void*) {
  const int fd = epoll_create1(0);
  epoll_event entry{EPOLLIN, {.u64 = 42}}, seen{};
  REQUIRE(epoll_ctl(fd, EPOLL_CTL_ADD, watched, &entry) == 0);
  REQUIRE(epoll_wait(fd, &seen, 1, -1) == 1 && seen.data.u64 == 42);
  return nullptr;
}
void* inSemaphore(void*) {
  REQUIRE(sem_wait(&semaphore) == 0);
  return nullptr;
}
void* inTimedFutex(void*) {
  timespec time{limit / 1000, (limit % 1000) * 1000000};
  const long result = syscall(SYS_futex, &word, FUTEX_WAIT, 1, &time, nullptr, 0);
  REQUIRE(result == -1 && errno == ETIMEDOUT);
  return nullptr;
}
void* inCondition(void*) {
  timespec until{};
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 600;
  pthread_mutex_lock(&mutex);
  while (!woken) REQUIRE(pthread_cond_timedwait(&condition, &mutex, &until) == 0);
  pthread_mutex_unlock(&mutex);
  return nullptr;
}
void* inSigwait(void*) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  siginfo_t info{};
  REQUIRE(sigwaitinfo(&set, &info) == SIGUSR2 && info.si_value.sival_int == 99);
  return nullptr;
}
void* inTimerRead(void*) {
  const int fd = timerfd_create(CLOCK_MONOTONIC, 0);
  const itimerspec spec{{0, 0}, {limit / 1000, (limit % 1000) * 1000000}};
  timerfd_settime(fd, 0, &spec, nullptr);
  uint64_t expirations = 0;
  REQUIRE(read(fd, &expirations, sizeof expirations) == sizeof expirations && expirations == 1);
  return nullptr;
}
void* inWait(void*) {
  const pid_t made = fork();
  if (made == 0) {
    pause();
    _exit(0);
  }
  pthread_mutex_lock(&mutex);
  child = made;
  pthread_mutex_unlock(&mutex);
  int status = 0;
  REQUIRE(waitpid(made, &status, 0) == made && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  return nullptr;
}
void* inFullPipe(void*) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  char block[70000] = {};
  pthread_t drain;
  pthread_create(
      &drain, nullptr,
      [](void* fd) -> void* {
        while (runMs() < limit) usleep(2000);
        static char sink[70000];
        for (size_t got = 0; got < sizeof sink;) {
          const ssize_t part = read(int(intptr_t(fd)), sink, sizeof sink - got);
          REQUIRE(part > 0);
          got += size_t(part);
        }
        return nullptr;
      },
      reinterpret_cast<void*>(intptr_t(ends[0])));
  // A stop may cut a write to a full pipe short, as it does under any debugger: pipe(7). What counts is that nothing is lost or doubled.
  for (size_t put = 0; put < sizeof block;) {
    const ssize_t part = write(ends[1], block + put, sizeof block - put);
    REQUIRE(part > 0);
    put += size_t(part);
  }
  pthread_join(drain, nullptr);
  return nullptr;
}

}  // namespace

int main(int, char** argv) {
  limit = atoi(argv[1]);
  runMs();
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  REQUIRE(pipe(pipeEnds) == 0 && pipe(idlePipe) == 0);
  event = eventfd(0, 0);
  watched = eventfd(0, 0);
  sem_init(&semaphore, 0, 0);
  void* (*const bodies[])(void*) = {inRead,  inEventRead, inNanosleep,  inAbsoluteSleep, inPoll,    inPollForever, inSelect,
                                    inEpoll, inSemaphore, inTimedFutex, inCondition,     inSigwait, inTimerRead,   inFullPipe};
  constexpr size_t kCount = sizeof bodies / sizeof bodies[0];
  pthread_t threads[kCount], waiting;
  for (size_t i = 0; i < kCount; ++i) pthread_create(&threads[i], nullptr, bodies[i], nullptr);
  usleep(20000);
  pthread_create(&waiting, nullptr, inWait, nullptr);
  while (runMs() < limit) usleep(5000);
  REQUIRE(write(pipeEnds[1], "r", 1) == 1);
  const uint64_t seven = 7;
  REQUIRE(write(event, &seven, sizeof seven) == sizeof seven && write(watched, &seven, sizeof seven) == sizeof seven);
  sem_post(&semaphore);
  pthread_mutex_lock(&mutex);
  woken = true;
  const pid_t waitedFor = child;
  pthread_cond_broadcast(&condition);
  pthread_mutex_unlock(&mutex);
  REQUIRE(kill(waitedFor, SIGTERM) == 0);
  sigval value{};
  value.sival_int = 99;
  REQUIRE(sigqueue(getpid(), SIGUSR2, value) == 0);
  for (const pthread_t thread : threads) pthread_join(thread, nullptr);
  pthread_join(waiting, nullptr);
  puts("calls kept");
  return 0;
}
