#include "errors.h"

#include <libcr.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace node_blcr {
namespace {

#define NAMED(name) {name, #name}
// glibc's strerrorname_np would do, but is younger than systems that a prebuilt addon should still load on.
constexpr std::pair<int, const char*> kNames[] = {
    NAMED(EPERM),           NAMED(ENOENT),       NAMED(ESRCH),        NAMED(EINTR),         NAMED(EIO),           NAMED(ENXIO),
    NAMED(E2BIG),           NAMED(ENOEXEC),      NAMED(EBADF),        NAMED(ECHILD),        NAMED(EAGAIN),        NAMED(ENOMEM),
    NAMED(EACCES),          NAMED(EFAULT),       NAMED(ENOTBLK),      NAMED(EBUSY),         NAMED(EEXIST),        NAMED(EXDEV),
    NAMED(ENODEV),          NAMED(ENOTDIR),      NAMED(EISDIR),       NAMED(EINVAL),        NAMED(ENFILE),        NAMED(EMFILE),
    NAMED(ENOTTY),          NAMED(ETXTBSY),      NAMED(EFBIG),        NAMED(ENOSPC),        NAMED(ESPIPE),        NAMED(EROFS),
    NAMED(EMLINK),          NAMED(EPIPE),        NAMED(EDOM),         NAMED(ERANGE),        NAMED(EDEADLK),       NAMED(ENAMETOOLONG),
    NAMED(ENOLCK),          NAMED(ENOSYS),       NAMED(ENOTEMPTY),    NAMED(ELOOP),         NAMED(ENOMSG),        NAMED(EIDRM),
    NAMED(ENODATA),         NAMED(ETIME),        NAMED(EREMOTE),      NAMED(ENOLINK),       NAMED(EPROTO),        NAMED(EBADMSG),
    NAMED(EOVERFLOW),       NAMED(EILSEQ),       NAMED(EUSERS),       NAMED(ENOTSOCK),      NAMED(EDESTADDRREQ),  NAMED(EMSGSIZE),
    NAMED(EPROTOTYPE),      NAMED(ENOPROTOOPT),  NAMED(ENOTSUP),      NAMED(EAFNOSUPPORT),  NAMED(EADDRINUSE),    NAMED(EADDRNOTAVAIL),
    NAMED(ENETDOWN),        NAMED(ENETUNREACH),  NAMED(ECONNABORTED), NAMED(ECONNRESET),    NAMED(ENOBUFS),       NAMED(EISCONN),
    NAMED(ENOTCONN),        NAMED(ETIMEDOUT),    NAMED(ECONNREFUSED), NAMED(EHOSTUNREACH),  NAMED(EALREADY),      NAMED(EINPROGRESS),
    NAMED(ESTALE),          NAMED(EUCLEAN),      NAMED(EREMOTEIO),    NAMED(EDQUOT),        NAMED(ECANCELED),     NAMED(EOWNERDEAD),
    NAMED(ENOTRECOVERABLE), NAMED(CR_ETEMPFAIL), NAMED(CR_EPERMFAIL), NAMED(CR_ENOSUPPORT), NAMED(CR_EVERSION),   NAMED(CR_EOMITTED),
    NAMED(CR_EBADARCH),     NAMED(CR_EPTRACED),  NAMED(CR_EPTRACER),  NAMED(CR_ERSTRTABRT), NAMED(CR_ERESTARTED), NAMED(CR_ENOTCB),
    NAMED(CR_ENOINIT),
};
#undef NAMED

}  // namespace

std::string ErrorName(int error) {
  for (const auto& [number, name] : kNames) {
    if (number == error) return name;
  }
  return "UNKNOWN_" + std::to_string(error);
}

Napi::Error SystemError(Napi::Env env, int error, const char* syscall, const std::string& text) {
  const std::string code = ErrorName(error);
  const std::string words = text.empty() ? std::strerror(error) : text;
  Napi::Error made = Napi::Error::New(env, code + ": " + words + ", " + syscall);
  made.Set("code", Napi::String::New(env, code));
  made.Set("errno", Napi::Number::New(env, -error));
  made.Set("syscall", Napi::String::New(env, syscall));
  return made;
}

Napi::Value ThrowSystemError(Napi::Env env, int error, const char* syscall, const std::string& text) {
  SystemError(env, error, syscall, text).ThrowAsJavaScriptException();
  return {};
}

}  // namespace node_blcr
