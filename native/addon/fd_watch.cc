#include "fd_watch.h"

#include <fcntl.h>
#include <uv.h>

#include <cerrno>
#include <utility>

namespace node_blcr {
namespace {

/**
 * A uv_poll_t or uv_timer_t with its lifetime:
 * 1. Start: the handle is active and referenced; `self_` keeps the object.
 * 2. The event: the handle is stopped first (libuv then takes the descriptor out of its epoll set at once), because what runs next may
 *    reap the request, and BLCR's kernel module does not survive a reaped descriptor in an epoll set.
 * 3. Close, by the event, by Cancel or by the end of the environment; only the first counts.
 * 4. The close callback drops `self_`. The asynchronous cleanup hook makes a dying environment (worker thread, process exit) wait for it.
 */
class Wait final : public LoopWait, public std::enable_shared_from_this<Wait> {
 public:
  Wait(Napi::Env env, Ready ready) : env_(env), ready_(std::move(ready)) {}
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  int StartPoll(int fd) {
    uv_loop_t* loop = Loop();
    const int error = loop == nullptr ? UV_EINVAL : uv_poll_init(loop, &handle_.poll, fd);
    if (error != 0) return -error;
    return Begin();
  }

  int StartTimer(unsigned int periodMs) {
    uv_loop_t* loop = Loop();
    const int error = loop == nullptr ? UV_EINVAL : uv_timer_init(loop, &handle_.timer);
    if (error != 0) return -error;
    periodMs_ = periodMs;
    return Begin();
  }

  void Cancel() override { Close(); }

 private:
  uv_loop_t* Loop() {
    uv_loop_t* loop = nullptr;
    return napi_get_uv_event_loop(env_, &loop) == napi_ok ? loop : nullptr;
  }

  int Begin() {
    handle_.any.data = this;
    self_ = shared_from_this();
    if (napi_add_async_cleanup_hook(env_, OnEnvironmentEnd, this, &hook_) != napi_ok) hook_ = nullptr;
    int error = hook_ == nullptr ? EINVAL : 0;
    if (error == 0) error = CreateContext() ? Arm() : EINVAL;
    if (error != 0) Close();
    return error;
  }

  /** The async_hooks identity under which promise continuations run. */
  bool CreateContext() {
    Napi::HandleScope scope(env_);
    return napi_async_init(env_, nullptr, Napi::String::New(env_, "node-blcr.wait"), &context_) == napi_ok;
  }

  int Arm() {
    if (handle_.any.type == UV_POLL) return -uv_poll_start(&handle_.poll, UV_READABLE, OnPoll);
    return -uv_timer_start(&handle_.timer, OnTimer, periodMs_, 0);
  }

  void Fire(int error) {
    if (handle_.any.type == UV_POLL) uv_poll_stop(&handle_.poll);
    const std::shared_ptr<Wait> keep = shared_from_this();
    Napi::HandleScope scope(env_);
    napi_callback_scope callback = nullptr;
    if (napi_open_callback_scope(env_, nullptr, context_, &callback) != napi_ok) {
      Close();  // the environment cannot run JavaScript any more: nobody is left to tell
      return;
    }
    // Whether the wait goes on is settled before the scope closes, for that runs the promise's continuations, which may cancel us.
    if (ready_(env_, error) || Arm() != 0) Close();
    napi_close_callback_scope(env_, callback);
  }

  void Close() {
    if (uv_is_closing(&handle_.any) != 0) return;
    if (handle_.any.type == UV_POLL) uv_poll_stop(&handle_.poll);
    uv_close(&handle_.any, OnClosed);
    if (context_ != nullptr) napi_async_destroy(env_, std::exchange(context_, nullptr));
  }

  /** libuv tells POLLERR as EBADF, whatever the error; a keeper that dies with the request unread makes one. That, too, is an event:
   * whoever reaps the request hears what has happened. Source: libuv, uv__poll_io(). */
  static void OnPoll(uv_poll_t* handle, int status, int /*events*/) {
    uv_os_fd_t fd = -1;
    const bool isOpen = uv_fileno(reinterpret_cast<uv_handle_t*>(handle), &fd) == 0 && fcntl(fd, F_GETFD) >= 0;
    static_cast<Wait*>(handle->data)->Fire(status == UV_EBADF && isOpen ? 0 : -status);
  }
  static void OnTimer(uv_timer_t* handle) { static_cast<Wait*>(handle->data)->Fire(0); }
  static void OnEnvironmentEnd(napi_async_cleanup_hook_handle /*hook*/, void* wait) { static_cast<Wait*>(wait)->Close(); }
  static void OnClosed(uv_handle_t* handle) {
    Wait* wait = static_cast<Wait*>(handle->data);
    const std::shared_ptr<Wait> last = std::exchange(wait->self_, nullptr);
    wait->ready_ = nullptr;
    if (wait->hook_ != nullptr) napi_remove_async_cleanup_hook(wait->hook_);
  }

  Napi::Env env_;
  Ready ready_;
  union {
    uv_handle_t any;
    uv_poll_t poll;
    uv_timer_t timer;
  } handle_{};
  unsigned int periodMs_ = 0;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  napi_async_context context_ = nullptr;
  std::shared_ptr<Wait> self_;
};

}  // namespace

std::shared_ptr<LoopWait> WaitReadable(Napi::Env env, int fd, LoopWait::Ready ready, int* error) {
  auto wait = std::make_shared<Wait>(env, std::move(ready));
  *error = wait->StartPoll(fd);
  return *error == 0 ? wait : nullptr;
}

std::shared_ptr<LoopWait> WaitPeriodically(Napi::Env env, unsigned int periodMs, LoopWait::Ready ready, int* error) {
  auto wait = std::make_shared<Wait>(env, std::move(ready));
  *error = wait->StartTimer(periodMs);
  return *error == 0 ? wait : nullptr;
}

}  // namespace node_blcr
