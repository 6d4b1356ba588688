// A thread beside the one that traces.
#pragma once

#include <pthread.h>

#include <functional>

#include "base/result.h"

namespace blcr {

/** Joined at its end. All its signals are blocked: they are for the thread that started it. */
class Thread {
 public:
  Thread() = default;
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() { join(); }

  /** EAGAIN when the user's or the job's limit of processes is reached. */
  [[nodiscard]] Status start(std::function<void()> run);
  void join();
  [[nodiscard]] bool joinable() const { return started_; }

 private:
  std::function<void()> run_;
  pthread_t id_{};
  bool started_ = false;
};

}  // namespace blcr
