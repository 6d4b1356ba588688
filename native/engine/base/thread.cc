#include "base/thread.h"

#include <errno.h>
#include <signal.h>

namespace blcr {

Status Thread::start(std::function<void()> run) {
  run_ = std::move(run);
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const auto enter = [](void* self) -> void* {
    static_cast<Thread*>(self)->run_();
    return nullptr;
  };
  const int error = ::pthread_create(&id_, nullptr, enter, this);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  started_ = error == 0;
  return started_ ? Status()
                  : Status(Error{error, error == EAGAIN ? "a thread could not be started (limit of processes?)"
                                                        : "a thread could not be started: clone3 or clone is forbidden"});
}

void Thread::join() {
  if (!started_) return;
  ::pthread_join(id_, nullptr);
  started_ = false;
}

}  // namespace blcr
