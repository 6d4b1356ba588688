// Threads that keep each other busy with every kind of mutex.
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <initializer_list>

#include "victim.h"

namespace {

constexpr int kWorkers = 4;
pthread_mutex_t ringLock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t ringMoved = PTHREAD_COND_INITIALIZER;
int turn = 0;
uint64_t rounds = 0;
bool stop = false;
sem_t finish;
thread_local int identity = -1;
volatile sig_atomic_t signalled = 0;

pthread_mutex_t makeMutex(int type, bool robust, bool inherit) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, type);
  if (robust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  if (inherit) pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
  pthread_mutex_t mutex;
  pthread_mutex_init(&mutex, &attributes);
  return mutex;
}

void* worker(void* argument) {
  identity = int(intptr_t(argument));
  const pid_t tid = pid_t(syscall(SYS_gettid));
  char name[16];
  snprintf(name, sizeof name, "worker-%d", identity);
  pthread_setname_np(pthread_self(), name);
  pthread_mutex_lock(&ringLock);
  while (!stop) {
    while (turn != identity && !stop) pthread_cond_wait(&ringMoved, &ringLock);
    turn = (turn + 1) % kWorkers;
    ++rounds;
    pthread_cond_broadcast(&ringMoved);
    REQUIRE(pid_t(syscall(SYS_gettid)) == tid);
    pthread_mutex_unlock(&ringLock);
    usleep(500);
    pthread_mutex_lock(&ringLock);
  }
  pthread_mutex_unlock(&ringLock);
  char now[16];
  pthread_getname_np(pthread_self(), now, sizeof now);
  REQUIRE(strcmp(now, name) == 0 && identity == int(intptr_t(argument)));
  return argument;
}

void* sleeper(void*) {
  while (sem_wait(&finish) != 0) REQUIRE(errno == EINTR);
  return nullptr;
}

/** Ends holding a robust mutex: the next owner must be told. */
void* abandon(void* mutex) {
  pthread_mutex_lock(static_cast<pthread_mutex_t*>(mutex));
  usleep(1000 * 1000);
  return nullptr;
}

}  // namespace

int main() {
  signal(SIGUSR1, [](int) { signalled = 1; });
  sem_init(&finish, 0, 0);
  pthread_mutex_t recursive = makeMutex(PTHREAD_MUTEX_RECURSIVE, false, false);
  pthread_mutex_t checked = makeMutex(PTHREAD_MUTEX_ERRORCHECK, false, false);
  pthread_mutex_t robust = makeMutex(PTHREAD_MUTEX_NORMAL, true, false);
  pthread_mutex_t inheriting = makeMutex(PTHREAD_MUTEX_NORMAL, false, true);
  pthread_mutex_t abandoned = makeMutex(PTHREAD_MUTEX_NORMAL, true, false);
  for (pthread_mutex_t* mutex : {&recursive, &checked, &robust, &inheriting}) REQUIRE(pthread_mutex_lock(mutex) == 0);
  pthread_t workers[kWorkers], sleeping, leaving;
  for (intptr_t i = 0; i < kWorkers; ++i) pthread_create(&workers[i], nullptr, worker, reinterpret_cast<void*>(i));
  pthread_create(&sleeping, nullptr, sleeper, nullptr);
  pthread_create(&leaving, nullptr, abandon, &abandoned);
  while (!mayEnd("go")) usleep(3000);
  pthread_mutex_lock(&ringLock);
  stop = true;
  REQUIRE(rounds > 100);
  pthread_cond_broadcast(&ringMoved);
  pthread_mutex_unlock(&ringLock);
  for (intptr_t i = 0; i < kWorkers; ++i) {
    void* result = nullptr;
    REQUIRE(pthread_join(workers[i], &result) == 0 && intptr_t(result) == i);
  }
  REQUIRE(pthread_kill(sleeping, SIGUSR1) == 0);
  for (int round = 0; round < 1000 && signalled == 0; ++round) usleep(10000);  // a loaded machine lets the sleeper wait
  REQUIRE(signalled == 1);
  sem_post(&finish);
  pthread_join(sleeping, nullptr);
  pthread_join(leaving, nullptr);
  REQUIRE(pthread_mutex_lock(&abandoned) == EOWNERDEAD);
  REQUIRE(pthread_mutex_trylock(&recursive) == 0 && pthread_mutex_unlock(&recursive) == 0);
  REQUIRE(pthread_mutex_lock(&checked) == EDEADLK);
  for (pthread_mutex_t* mutex : {&recursive, &checked, &robust, &inheriting}) REQUIRE(pthread_mutex_unlock(mutex) == 0);
  puts("threads kept");
  return 0;
}
