#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "addon.h"
#include "errors.h"

namespace node_blcr {
namespace {

constexpr int kPipeBytes =
    1024 * 1024;  // /proc/sys/fs/pipe-max-size of an ordinary user; the default of 64 KiB costs a wake-up per 16 pages

Napi::Array Pair(Napi::Env env, const int (&ends)[2]) {
  Napi::Array pair = Napi::Array::New(env, 2);
  pair.Set(0u, Napi::Number::New(env, ends[0]));
  pair.Set(1u, Napi::Number::New(env, ends[1]));
  return pair;
}

}  // namespace

Napi::Value CreatePipe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) < 0) return ThrowSystemError(env, errno, "pipe2");
  // Refused when the user's share of pipe memory is used up; a small pipe is slower, not wrong.
  static_cast<void>(fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes));
  return Pair(env, ends);
}

Napi::Value CreateSocketPair(const Napi::CallbackInfo& info) {
  int ends[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) return ThrowSystemError(info.Env(), errno, "socketpair");
  return Pair(info.Env(), ends);
}

Napi::Value MakeFifo(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsString()) {
    Napi::TypeError::New(env, "the first argument must be a path").ThrowAsJavaScriptException();
    return {};
  }
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  if (mkfifo(path.c_str(), S_IRUSR | S_IWUSR) < 0) return ThrowSystemError(env, errno, "mkfifo");
  return env.Undefined();
}

}  // namespace node_blcr
