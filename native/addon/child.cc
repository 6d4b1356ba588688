#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "addon.h"
#include "errors.h"
#include "fd_watch.h"

namespace node_blcr {
namespace {

constexpr unsigned int kPollPeriodMs = 50;

/** Mode 2 of /proc/self/status. Without a stream: that of the static libstdc++ wants a newer C library than Node does. Source: proc(5). */
bool HasFilter() {
  char text[16384];
  const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  const ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
  if (file >= 0) close(file);
  if (length <= 0) return false;
  text[length] = '\0';
  return std::strstr(text, "\nSeccomp:\t2") != nullptr;
}

/** Some seccomp filters kill for calls that they do not know. Where there is one, a child, of which nobody hears, tries it first. */
bool IsPidfdDeadly() {
  if (!HasFilter()) return false;
  const auto child = static_cast<pid_t>(syscall(SYS_clone, 0, 0, 0, 0, 0));
  if (child == 0) {
    prctl(PR_SET_DUMPABLE, 0);  // no core file
    signal(SIGSYS, SIG_DFL);
    syscall(SYS_pidfd_open, 1, 0);
    _exit(0);
  }
  int status = 0;
  while (child > 0 && waitpid(child, &status, __WALL) < 0 && errno == EINTR) continue;
  return WIFSIGNALED(status);
}

/** A descriptor that becomes readable when the process ends (Linux 5.3), or -1/ENOSYS. */
int OpenPidfd(pid_t pid) {
  static const bool isDeadly = IsPidfdDeadly();
  const char* disabled = std::getenv("BLCR_DISABLE");
  if (isDeadly || (disabled != nullptr && (std::string(",") + disabled + ",").find(",pidfd,") != std::string::npos)) {
    errno = ENOSYS;
    return -1;
  }
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

/** Closes a pidfd when the last user, the wait, is gone. */
struct Descriptor {
  explicit Descriptor(int descriptor) : fd(descriptor) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  int fd;
};

}  // namespace

/**
 * Waits for one child by its number and for nothing else: SIGCHLD and every other child stay libuv's, which in turn asks only for the
 * children that it started. The number cannot be reused before we have reaped it.
 */
Napi::Value WaitChild(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsNumber() || info[0].As<Napi::Number>().Int32Value() <= 0) {
    Napi::TypeError::New(env, "the first argument must be the number of a child").ThrowAsJavaScriptException();
    return {};
  }
  const pid_t pid = info[0].As<Napi::Number>().Int32Value();
  const auto deferred = Napi::Promise::Deferred::New(env);
  const auto pidfd = std::make_shared<Descriptor>(OpenPidfd(pid));
  const int openError = pidfd->fd < 0 ? errno : 0;
  const auto check = [pid, deferred, pidfd](Napi::Env at, int error) {
    int status = 0;
    const pid_t ended = error != 0 ? -1 : waitpid(pid, &status, WNOHANG);
    if (ended == 0) return false;
    if (ended == pid) {
      deferred.Resolve(Napi::Number::New(at, status));
    } else {
      deferred.Reject(SystemError(at, error != 0 ? error : errno, "waitpid", "process " + std::to_string(pid) + " is not a child").Value());
    }
    return true;
  };
  // Already over, or no child of ours: known at once, also where a pidfd cannot be had because the process is gone (ESRCH).
  if (check(env, 0)) return deferred.Promise();
  int error = 0;
  const bool mustPoll = openError == ENOSYS || openError == EPERM;  // EPERM: a seccomp filter that does not know the call
  if (openError != 0 && !mustPoll) return ThrowSystemError(env, openError, "pidfd_open");
  const auto wait = mustPoll ? WaitPeriodically(env, kPollPeriodMs, check, &error) : WaitReadable(env, pidfd->fd, check, &error);
  if (wait == nullptr) return ThrowSystemError(env, error, mustPoll ? "uv_timer_start" : "uv_poll_start");
  return deferred.Promise();
}

}  // namespace node_blcr
