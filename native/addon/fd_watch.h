// Waiting on the event loop of the calling environment. fd_watch.cc alone knows libuv: its ABI is outside what Node-API promises.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>

namespace node_blcr {

/** One wait. It keeps the event loop alive, and itself in existence, until it is over, cancelled, or its environment ends. */
class LoopWait {
 public:
  /** Called on the loop's thread, the wait being out of every epoll set; `error` is 0 or an errno. True ends the wait, false goes on
   * waiting. */
  using Ready = std::function<bool(Napi::Env env, int error)>;

  virtual ~LoopWait() = default;
  /** Ends the wait without a call of Ready. The descriptor may be closed as soon as this returns. No effect on a wait that is over. */
  virtual void Cancel() = 0;
};

/** Waits until `fd` is readable or hung up. Null with `*error` set when the descriptor cannot be waited for. */
std::shared_ptr<LoopWait> WaitReadable(Napi::Env env, int fd, LoopWait::Ready ready, int* error);

/** Calls `ready` every `periodMs` milliseconds until it returns true. */
std::shared_ptr<LoopWait> WaitPeriodically(Napi::Env env, unsigned int periodMs, LoopWait::Ready ready, int* error);

}  // namespace node_blcr
