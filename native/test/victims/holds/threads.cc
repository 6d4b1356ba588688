// What a thread may have that the others of its process have not.
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <array>
#include <atomic>

#include "holds.h"

namespace holds {
namespace {

/** Runs `set` in a thread, holds, and runs `check` there. */
void inThread(void (*set)(), void (*check)()) {
  struct Plan {
    void (*set)();
    void (*check)();
    Pipe go, up;
  } plan{set, check, {}, {}};
  const auto body = [](void* argument) -> void* {
    auto* own = static_cast<Plan*>(argument);
    own->set();
    put(own->up.write, "x");
    take(own->go.read, 1);
    own->check();
    return nullptr;
  };
  pthread_t thread;
  REQUIRE(pthread_create(&thread, nullptr, body, &plan) == 0 && take(plan.up.read, 1) == "x");
  hold();
  REQUIRE(put(plan.go.write, "x") == 0 && pthread_join(thread, nullptr) == 0);
}

void attributesOfOne() {
  inThread(
      [] {
        const sched_param none{};
        REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && personality(UNAME26) >= 0 && prctl(PR_SET_TIMERSLACK, 77777) == 0);
        REQUIRE(setpriority(PRIO_PROCESS, id_t(gettid()), 5) == 0 && sched_setscheduler(0, SCHED_IDLE | SCHED_RESET_ON_FORK, &none) == 0);
      },
      [] {
        REQUIRE(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && personality(0xffffffff) == UNAME26 && prctl(PR_GET_TIMERSLACK) == 77777);
        REQUIRE(getpriority(PRIO_PROCESS, id_t(gettid())) == 5 && sched_getscheduler(0) == (SCHED_IDLE | SCHED_RESET_ON_FORK));
      });
  REQUIRE(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 && personality(0xffffffff) != UNAME26 && getpriority(PRIO_PROCESS, 0) == 0);
}

void memoryPolicy() {
  static const unsigned long first = 1;
  int mode = 0;
  if (syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, &first, 64ul) != 0) notHere();
  inThread([] { REQUIRE(syscall(SYS_set_mempolicy, MPOL_BIND, &first, 64ul) == 0); },
           [] {
             int own = 0;
             unsigned long nodes[16] = {};
             REQUIRE(syscall(SYS_get_mempolicy, &own, nodes, 1024ul, 0, 0) == 0 && own == MPOL_BIND && nodes[0] == 1);
           });
  REQUIRE(syscall(SYS_get_mempolicy, &mode, nullptr, 0ul, 0, 0) == 0 && mode == MPOL_INTERLEAVE);
}

/** Waits for its turn and says so. */
void answerOnce(const Pipe& go, const Pipe& up) {
  take(go.read, 1);
  put(up.write, "y");
}

struct Makers {
  Pipe go, up;
  std::atomic<bool> isEnough = false;
  int made = 0;
};

/** One of three is an orphan at once, the others stay its children. */
void* makeChildren(void* argument) {
  auto* own = static_cast<Makers*>(argument);
  for (; !own->isEnough && own->made < 200; ++own->made) {
    const auto child = [own] { answerOnce(own->go, own->up); };
    if (own->made % 3 == 0)
      REQUIRE(endsWell(spawn([&] { spawn(child); })));
    else
      spawn(child);
    usleep(useconds_t(own->made * 7 % 900));
  }
  return nullptr;
}

/** A thread among many that rest makes children, also while the job is being stopped: none of them is overlooked. */
void childrenOfThreads() {
  Makers makers;
  const auto rest = [](void* argument) -> void* {
    take(static_cast<Makers*>(argument)->go.read, 1);
    return nullptr;
  };
  std::array<pthread_t, 40> resting;
  for (pthread_t& thread : resting) REQUIRE(pthread_create(&thread, nullptr, rest, &makers) == 0);
  pthread_t maker;
  REQUIRE(pthread_create(&maker, nullptr, makeChildren, &makers) == 0);
  hold();
  makers.isEnough = true;
  REQUIRE(pthread_join(maker, nullptr) == 0);
  REQUIRE(put(makers.go.write, std::string(size_t(makers.made) + resting.size(), 'x')) == 0);
  for (const pthread_t thread : resting) REQUIRE(pthread_join(thread, nullptr) == 0);
  for (int left = makers.made; left > 0; --left) REQUIRE(take(makers.up.read, 1) == "y");
}

const Case kChildren(Supported{"childrenOfThreads", "tasks", "children and orphans that a thread makes while the job is being stopped",
                               "restored"},
                     childrenOfThreads);

const Case kOfOne(Supported{"attributesOfOne", "tasks",
                            "threads with no_new_privs, personality, nice, scheduling, timer slack of their own", "restored"},
                  attributesOfOne);
const Case kPolicy(Supported{"memoryPolicy", "tasks", "memory policies of threads (set_mempolicy)", "restored"}, memoryPolicy);

}  // namespace
}  // namespace holds
