// What this process knows of its threads that called cr_init(), and of the running checkpoint.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <vector>

#include "futex.h"
#include "libcr.h"

namespace blcr::libcr {

struct Callback {
  cr_callback_t function = nullptr;
  void* argument = nullptr;
};

/** A thread that called cr_init(). Changed by that thread only, in critical sections where callbacks read it. */
struct Client {
  pid_t tid = 0;
  cr_client_id_t ids = 0;  // given out so far
  int persist = 0;
  int sections = 0;  // critical sections that this thread is in
  std::atomic<int> hold{CR_HOLD_DFLT};
  std::vector<Callback> callbacks;  // in signal context
  Client* next = nullptr;           // list of all, headed by State::clients
};

struct Frame;

/**
 * The two things a thread must find without allocation, also in a signal handler: hence the initial-exec model, whose room exists from the
 * start of every thread.
 */
extern thread_local Client* self __attribute__((tls_model("initial-exec")));
extern thread_local Frame* frame __attribute__((tls_model("initial-exec")));

enum Phase : uint32_t {
  kIdle,
  kEntering,   // a request has come: no new critical sections; thread-context callbacks run
  kGathering,  // threads are called together; then the process is copied
  kReleased,   // callbacks return
};

struct State {
  Word phase{kIdle};
  Word round{0};               // counts checkpoints
  Word progress{0};            // changes whenever a thread arrives or has finished
  std::atomic<int> verdict{};  // what the callbacks have decided: flags of cr_checkpoint()
  std::atomic<int> outcome{};  // for cr_checkpoint() to return
  std::atomic<bool> failed{};  // a callback returned non-zero

  /** Critical sections: number of threads in one, and kWanted while a checkpoint keeps new ones out. */
  Word sections{0};
  static constexpr uint32_t kWanted = 1u << 31;

  // Changed in critical sections of their own, read by the agent when there are none.
  Client* clients = nullptr;
  std::vector<Callback> threadCallbacks;
  std::atomic<cr_hook_fn_t> hooks[CR_NUM_HOOKS]{};
  std::atomic<int> holdInit{CR_HOLD_BOTH}, holdUninit{CR_HOLD_BOTH};

  cr_checkpoint_info checkpoint{};
  cr_restart_info restart{};
  char path[4096]{};  // of the context
};

/** Never destroyed: threads may still be here while the process exits. */
extern State& state;

/** Where the library changes what callbacks read: no checkpoint happens within, and one thread at a time is in. Not for signal handlers. */
class Section {
 public:
  Section();
  ~Section();
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

 private:
  int* own_;  // the thread's count; nullptr in callbacks, where there is nothing to enter
};

void enterSection(int& own);
[[nodiscard]] bool tryEnterSection(int& own);
void leaveSection(int& own);

}  // namespace blcr::libcr
