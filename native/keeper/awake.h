// Programs that job control has stopped (^Z) and whose callbacks run all the same.
#pragma once

#include <sys/types.h>

#include <map>
#include <set>
#include <vector>

#include "base/result.h"

namespace blcr {

/**
 * Lets stopped processes run as tracees of this thread. A tracer may do that without ending their stop: no SIGCONT is sent, no handler of
 * theirs runs and their parents hear nothing. When they are let go they stop again, unless somebody has continued them meanwhile. While
 * they are awake all their threads run, so that critical sections can be left.
 */
class Awake {
 public:
  Awake() = default;
  Awake(const Awake&) = delete;
  Awake& operator=(const Awake&) = delete;
  ~Awake() { rest(); }

  /** Wakes `pid` if it is stopped; its threads run when their changes of state have been dealt with. CR_ETEMPFAIL (by code) when it cannot
   * be had, being somebody else's tracee. */
  [[nodiscard]] Status wake(pid_t pid);
  /** Those who have been woken once, again. */
  void wakeAgain();
  /** Who has been woken, ever. */
  [[nodiscard]] const std::set<pid_t>& woken() const { return woken_; }
  /** Whoever is awake stops again. */
  void rest();

  [[nodiscard]] bool empty() const { return tasks_.empty(); }
  /** A change of state that wait(2) has told; true when it is dealt with. */
  bool onChild(pid_t tid, int status);
  /** For callers that wait for nobody: deals with what has happened. Ends are left for others to take. */
  void lookAfter();

 private:
  enum class State { kRunning, kStopped, kGone };
  [[nodiscard]] Status attach(pid_t pid);
  [[nodiscard]] static State takeStop(pid_t tid, int& status);
  void resume(pid_t tid, int status);

  std::set<pid_t> woken_;         // processes
  std::map<pid_t, pid_t> tasks_;  // threads that are tracees, and whose they are
};

}  // namespace blcr
