#include "request.h"

#include <poll.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "addon.h"
#include "errors.h"

namespace node_blcr {
namespace {

constexpr napi_type_tag kRequestTag = {0x6e6f64652d626c63, 0x722e726571756573};
constexpr int kSelectLimit = 1024;            // FD_SETSIZE: libcr's own waits use select(2)
constexpr size_t kFirstLogBytes = 16 * 1024;  // most logs are a few lines
constexpr size_t kMostLogBytes = 16 * 1024 * 1024;

using Holder = std::shared_ptr<Request>;

/** The request of the first argument; null with an exception pending when it is none or has been released. */
Holder Unwrap(const Napi::CallbackInfo& info, const char* syscall) {
  const Napi::Value value = info[0];
  if (!value.IsExternal() || !value.As<Napi::External<Holder>>().CheckTypeTag(&kRequestTag)) {
    Napi::TypeError::New(info.Env(), "the first argument must be a request handle").ThrowAsJavaScriptException();
    return nullptr;
  }
  Holder request = *value.As<Napi::External<Holder>>().Data();
  if (request->IsOpen()) return request;
  ThrowSystemError(info.Env(), EBADF, syscall, "the request has already been reaped or closed");
  return nullptr;
}

/** 1 complete, 0 pending, negative errno. poll(2) has no limit on descriptor numbers. */
int Readiness(int fd) {
  pollfd entry = {fd, POLLIN, 0};
  const int count = poll(&entry, 1, 0);
  if (count < 0) return errno == EINTR ? 0 : -errno;
  if (count > 0 && (entry.revents & POLLNVAL) != 0) return -EBADF;
  return count;
}

int Reap(Request& request) {
  const Library& library = request.library();
  return request.kind() == Request::Kind::kCheckpoint ? library.cr_reap_checkpoint(request.handle())
                                                      : library.cr_reap_restart(request.handle());
}

const char* ReapName(const Request& request) {
  return request.kind() == Request::Kind::kCheckpoint ? "cr_reap_checkpoint" : "cr_reap_restart";
}

/** Throws and returns false unless the request is complete and nobody waits: a reap at any other time loses the handle or worse. */
bool MayReap(Napi::Env env, const Request& request, const char* syscall) {
  const int ready = Readiness(request.fd());
  if (request.IsWaiting()) {
    ThrowSystemError(env, EBUSY, syscall, "somebody waits for this request");
  } else if (ready < 0) {
    ThrowSystemError(env, -ready, syscall);
  } else if (ready == 0) {
    ThrowSystemError(env, EAGAIN, syscall, "the request is still pending");
  }
  return !env.IsExceptionPending();
}

}  // namespace

std::optional<Napi::Promise::Deferred> Request::EndWait() {
  if (const std::shared_ptr<LoopWait> wait = wait_.lock()) wait->Cancel();
  return std::exchange(waiter_, std::nullopt);
}

void Request::Abandon() {
  EndWait();
  if (!IsOpen()) return;
  close(fd());
  handle_ = static_cast<unsigned long>(-1);
}

Napi::Value WrapRequest(Napi::Env env, Request::Kind kind, std::shared_ptr<const Library> library, unsigned long handle) {
  auto* holder = new Holder(std::make_shared<Request>(kind, std::move(library), handle));
  auto external = Napi::External<Holder>::New(env, holder, [](Napi::Env /*env*/, Holder* dropped) { delete dropped; });
  external.TypeTag(&kRequestTag);
  return external;
}

Napi::Value WaitRequest(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Holder request = Unwrap(info, "waitReadable");
  if (request == nullptr) return {};
  if (request->IsWaiting()) return ThrowSystemError(env, EBUSY, "waitReadable", "somebody waits for this request already");
  const auto deferred = Napi::Promise::Deferred::New(env);
  const auto ready = [request](Napi::Env at, int error) {
    const auto waiter = request->EndWait();
    if (!waiter.has_value()) return true;
    if (error == 0) {
      waiter->Resolve(at.Undefined());
    } else {
      waiter->Reject(SystemError(at, error, "waitReadable").Value());
    }
    return true;
  };
  int error = 0;
  const std::shared_ptr<LoopWait> wait = WaitReadable(env, request->fd(), ready, &error);
  if (wait == nullptr) return ThrowSystemError(env, error, "uv_poll_start");
  request->BeginWait(wait, deferred);
  return deferred.Promise();
}

Napi::Value CancelRequest(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Holder request = Unwrap(info, "crx_cancel");
  if (request == nullptr) return {};
  if (!request->library().HasExtensions()) return Napi::Boolean::New(env, false);
  if (request->library().crx_cancel(request->handle()) < 0) return ThrowSystemError(env, errno, "crx_cancel");
  return Napi::Boolean::New(env, true);
}

Napi::Value PollCheckpoint(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Holder request = Unwrap(info, "cr_poll_checkpoint");
  if (request == nullptr) return {};
  if (request->IsWaiting()) return ThrowSystemError(env, EBUSY, "cr_poll_checkpoint", "somebody waits for this request");
  int result = 0;
  int error = 0;
  if (request->fd() >= kSelectLimit) {
    const int ready = Readiness(request->fd());
    if (ready != 0) result = ready < 0 ? CR_POLL_CHKPT_ERR_PRE : (Reap(*request) < 0 ? CR_POLL_CHKPT_ERR_POST : 1);
    error = ready < 0 ? -ready : errno;
  } else {
    timeval immediately = {};
    result = request->library().cr_poll_checkpoint(request->handle(), &immediately);
    error = errno;
  }
  Napi::Object answer = Napi::Object::New(env);
  answer.Set("result", result);
  answer.Set("errno", result < 0 ? error : 0);
  return answer;
}

Napi::Value ReadLog(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Holder request = Unwrap(info, "cr_log");
  if (request == nullptr) return {};
  const bool isCheckpoint = request->kind() == Request::Kind::kCheckpoint;
  const auto read = isCheckpoint ? request->library().cr_log_checkpoint : request->library().cr_log_restart;
  // The return value is the length that the whole log needs, so a buffer that was filled may have cut it.
  for (size_t size = kFirstLogBytes;; size *= 4) {
    std::vector<char> buffer(size);
    const int length = read(request->handle(), static_cast<unsigned int>(size), buffer.data());
    if (length < 0) return ThrowSystemError(env, errno, isCheckpoint ? "cr_log_checkpoint" : "cr_log_restart");
    const size_t text = strnlen(buffer.data(), size);
    const bool isWhole = static_cast<size_t>(length) < size && text < size;
    if (isWhole || size >= kMostLogBytes) return Napi::String::New(env, buffer.data(), text);
  }
}

Napi::Value RequestResult(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Holder request = Unwrap(info, "crx_result");
  if (request == nullptr) return {};
  if (!request->library().HasExtensions()) return env.Undefined();
  crx_result_t result = {};
  result.size = sizeof(result);
  if (request->library().crx_result(request->handle(), &result) < 0) return ThrowSystemError(env, errno, "crx_result");
  Napi::Object object = Napi::Object::New(env);
  const auto set = [&](const char* name, auto value) { object.Set(name, Napi::Number::New(env, static_cast<double>(value))); };
  set("error", result.error);
  set("snapshot", result.snapshot);
  set("processes", result.processes);
  set("threads", result.threads);
  set("restartedPid", result.restarted_pid);
  set("stopUs", result.stop_us);
  set("captureUs", result.capture_us);
  set("totalUs", result.total_us);
  set("pages", result.pages);
  set("bytes", result.bytes);
  set("capturedFiles", result.captured_files);
  set("capturedBytes", result.captured_bytes);
  return object;
}

Napi::Value ReapRequest(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Holder request = Unwrap(info, "reap");
  if (request == nullptr || !MayReap(env, *request, ReapName(*request))) return {};
  const int result = Reap(*request);
  const int error = errno;
  if (result < 0) return ThrowSystemError(env, error, ReapName(*request), request->library().Describe(error));
  return Napi::Number::New(env, result);
}

Napi::Value CloseHandle(const Napi::CallbackInfo& info) {
  const Holder request = Unwrap(info, "close");
  if (request == nullptr) return {};
  const auto waiter = request->EndWait();
  request->Abandon();
  if (waiter.has_value()) waiter->Reject(SystemError(info.Env(), ECANCELED, "waitReadable", "the request was closed").Value());
  return info.Env().Undefined();
}

}  // namespace node_blcr
