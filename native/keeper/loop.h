// The keeper's event loop: descriptors and timers, one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

namespace blcr {

/** poll(2) with callbacks. Callbacks may add and remove watches and timers, their own included. */
class Loop {
 public:
  using Handler = std::function<void(short revents)>;
  using TimerId = uint64_t;

  /** Calls `handler` whenever `fd` (borrowed) has one of `events` (POLLIN, …) or POLLHUP, POLLERR. Replaces an older watch of it. */
  void watch(int fd, short events, Handler handler);
  void forget(int fd);
  /** Calls `handler` once, in `milliseconds`. */
  TimerId after(int64_t milliseconds, std::function<void()> handler);
  void cancel(TimerId timer);
  /** Runs until quit(). */
  void run();
  void quit() { running_ = false; }

 private:
  struct Watch {
    short events;
    uint64_t generation;
    Handler handler;
  };
  struct Timer {
    int64_t dueNs;
    std::function<void()> handler;
  };
  void once();
  void runTimers();
  [[nodiscard]] int timeoutMs() const;

  std::map<int, Watch> watches_;
  std::map<TimerId, Timer> timers_;
  uint64_t next_ = 1;
  bool running_ = false;
};

}  // namespace blcr
