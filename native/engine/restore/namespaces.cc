#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "base/clock.h"
#include "base/features.h"
#include "base/io.h"
#include "base/unique_fd.h"
#include "restore/files/terminals.h"
#include "restore/mounts.h"
#include "restore/restore.h"
#include "restore/tasks/fork_as.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace blcr {
namespace {

constexpr int64_t kSecond = 1000000000;

/** What the process that is to become pid 1, or its maker, tells the outer one: a pid or an error. */
struct Message {
  int32_t pid = 0;
  int32_t code = 0;
  char detail[240] = {};
};

void send(int fd, const Message& message) { static_cast<void>(::send(fd, &message, sizeof message, MSG_NOSIGNAL)); }

void send(int fd, const Error& error) {
  Message message;
  message.code = error.code == 0 ? EIO : error.code;
  std::strncpy(message.detail, error.detail.c_str(), sizeof message.detail - 1);
  send(fd, message);
}

bool isPrivileged() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  return (data[0].effective & (1u << CAP_SYS_ADMIN)) != 0 && featureAllowed("privilege");
}

Status writeFile(const char* path, const std::string& text) {
  const UniqueFd file(::open(path, O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), text.data(), text.size()) != ssize_t(text.size())) return systemError(path);
  return {};
}

Error unshareError(int code) {
  errno = code;
  Error error = systemError("making namespaces for the job with unshare");
  if (code == ENOSPC) error = {EPERM, error.detail + " (user.max_user_namespaces is 0 or exhausted)"};
  if (code == EPERM) error.detail += " (this host, container or sandbox does not let users make namespaces)";
  if (code == EINVAL || code == ENOSYS) error = {ENOSYS, error.detail + " (this kernel, container or sandbox lacks one of them)"};
  return error;
}

Status mapUsers(uid_t uid, gid_t gid) {
  // Source: user_namespaces(7): groups must be denied before an unprivileged process may map its own.
  BLCR_TRY(writeFile("/proc/self/setgroups", "deny"));
  BLCR_TRY(writeFile("/proc/self/uid_map", std::to_string(uid) + " " + std::to_string(uid) + " 1"));
  return writeFile("/proc/self/gid_map", std::to_string(gid) + " " + std::to_string(gid) + " 1");
}

/** The offset in use now, which a job inside another restarted job's namespace has to add to. Source: time_namespaces(7). */
int64_t currentOffset(const std::string& text, const char* clock) {
  const size_t at = text.find(clock);
  long long seconds = 0, nanoseconds = 0;
  if (at == std::string::npos || std::sscanf(text.c_str() + at + std::strlen(clock), "%lld %lld", &seconds, &nanoseconds) != 2) return 0;
  return seconds * kSecond + nanoseconds;
}

/** CLOCK_MONOTONIC and CLOCK_BOOTTIME of children go on from the checkpoint. */
Status shiftClocks(const image::Host& host) {
  const auto text = readFile("/proc/self/timens_offsets");
  if (!text.ok()) return text.error();
  std::string offsets;
  const struct {
    const char* name;
    clockid_t clock;
    int64_t wanted;
  } clocks[] = {{"monotonic", CLOCK_MONOTONIC, host.monotonicNs}, {"boottime", CLOCK_BOOTTIME, host.boottimeNs}};
  for (const auto& [name, clock, wanted] : clocks) {
    const int64_t offset = currentOffset(text.value(), name) + wanted - nowNs(clock);
    const int64_t seconds = offset >= 0 ? offset / kSecond : -((-offset + kSecond - 1) / kSecond);  // nanoseconds must not be negative
    offsets += std::string(name) + " " + std::to_string(seconds) + " " + std::to_string(offset - seconds * kSecond) + "\n";
  }
  return writeFile("/proc/self/timens_offsets", offsets);
}

/**
 * A user has other keyrings in each user namespace: keys that a program could use before are reached through the session keyring, which it
 * keeps, and from its user keyring there (user-keyring(7)). Without keyrings, or where they are forbidden, the job has none either.
 */
class UserKeys {
 public:
  UserKeys() {
    // Whoever has no session keyring is given that of the user, which is its own from then on.
    static_cast<void>(::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
    keyring_ = ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0);
  }

  /** In the new user namespace. */
  void takeAlong() const {
    if (keyring_ > 0) static_cast<void>(::syscall(SYS_keyctl, KEYCTL_LINK, keyring_, KEY_SPEC_USER_KEYRING));
  }

 private:
  long keyring_ = 0;
};

/** In a user namespace of the job's own: `flags` has the others. */
Status makeUserNamespace(int flags) {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  const UserKeys keys;
  if (::unshare(flags | CLONE_NEWUSER) != 0) return unshareError(errno);
  BLCR_TRY(mapUsers(uid, gid));
  keys.takeAlong();
  return {};
}

/** In the maker: new namespaces for its next child. */
Status makeNamespaces(const image::Host& host, Log& log) {
  constexpr int kFlags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC;
  if (!isPrivileged()) {
    BLCR_TRY(makeUserNamespace(kFlags));
  } else if (::unshare(kFlags) != 0) {
    return unshareError(errno);
  }
  if (featureAllowed("timens") && ::unshare(CLONE_NEWTIME) == 0) return shiftClocks(host);
  log.line("this kernel has no time namespaces: the job's monotonic clock jumps");
  return {};
}

Status settleAsInit(const image::Image& image, const RestoreRequest& request) {
  BLCR_TRY(isolateMounts());
  if (!image.terminals.empty()) BLCR_TRY(mountTerminals());
  BLCR_TRY(bindPaths(request.binds));
  return mountProc();
}

void closeAll() {
  if (featureAllowed("close_range") && ::syscall(SYS_close_range, 0, ~0u, 0) == 0) return;
  for (int fd = ::getdtablesize(); fd-- > 0;) ::close(fd);
}

/** Pid 1 when it is not the keeper itself: it ends with the keeper, and whatever is left in the namespace with it. */
[[noreturn]] void beInit(pid_t keeper) {
  closeAll();
  int status = 0;
  pid_t ended = 0;
  do ended = ::waitpid(-1, &status, __WALL);
  while (ended != keeper && (ended >= 0 || errno == EINTR));
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/** In pid 1: the keeper gets the number that the job knows its parent by. It remains pid 1 when it cannot have it, or is not to have one.
 */
void takeNumber(const image::Image& image, const RestoreRequest& request, Log& log) {
  if (!request.restorePid || image.keeper <= 1) return;
  const auto keeper = forkAs(image.keeper, SIGCHLD);
  if (!keeper.ok()) return log.line("the number of the job's parent changes to 1: " + keeper.error().detail);
  if (keeper.value() != 0) beInit(keeper.value());
}

/** In pid 1: waits until its maker is gone (a death signal would be sent at that moment) before it binds its life to the outer process. */
Result<pid_t> becomeInit(const image::Image& image, const RestoreRequest& request, Log& log, UniqueFd channel) {
  const Status settled = settleAsInit(image, request);
  if (!settled.ok()) {
    send(channel.get(), settled.error());
    ::_exit(1);
  }
  Message ready, go;
  ready.pid = 1;
  send(channel.get(), ready);
  if (::recv(channel.get(), &go, sizeof go, 0) != sizeof go) ::_exit(1);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ready.pid = 2;  // from now on the outer process's end cannot be missed
  send(channel.get(), ready);
  if (::recv(channel.get(), &go, sizeof go, 0) != sizeof go) ::_exit(1);
  channel.reset();
  takeNumber(image, request, log);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  return pid_t(0);
}

/** In the maker: never returns but in its child, which is pid 1. */
Result<pid_t> makeInit(const RestorePlan& plan, const RestoreRequest& request, Log& log, UniqueFd channel) {
  Status made = makeNamespaces(plan.image.host, log);
  const pid_t pid = made.ok() ? ::fork() : -1;
  if (pid == 0) return becomeInit(plan.image, request, log, std::move(channel));
  if (made.ok() && pid < 0) made = systemError("making the job's init");
  Message message;
  message.pid = pid;
  if (made.ok()) send(channel.get(), message);
  if (!made.ok()) send(channel.get(), made.error());
  ::_exit(0);
}

Result<Message> receive(int fd) {
  Message message;
  if (::recv(fd, &message, sizeof message, 0) != sizeof message) return Error{ECHILD, "the job's init ended while it was being made"};
  if (message.code != 0) return Error{message.code, std::string(message.detail, strnlen(message.detail, sizeof message.detail))};
  return message;
}

/** In the outer process: the handshake; gives init's pid. */
Result<pid_t> awaitInit(int fd, pid_t maker) {
  // The maker's and init's first messages may come in either order; init's own ready message tells pid 1.
  pid_t init = -1;
  bool ready = false;
  while (init < 0 || !ready) {
    const auto message = receive(fd);
    if (!message.ok()) {
      ::waitpid(maker, nullptr, 0);
      if (init > 0) ::waitpid(init, nullptr, 0);
      return message.error();
    }
    if (message.value().pid == 1) ready = true;
    if (message.value().pid != 1) init = message.value().pid;
  }
  ::waitpid(maker, nullptr, 0);  // init is now our child
  send(fd, Message{});
  const auto bound = receive(fd);
  if (!bound.ok()) return bound.error();
  send(fd, Message{});
  return init;
}

}  // namespace

Result<pid_t> enterNamespaces(const RestorePlan& plan, const RestoreRequest& request, Log& log) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return systemError("channel to the job's init");
  UniqueFd outer(ends[0]), inner(ends[1]);
  // The maker ends, and its child has to come to us and not to somebody above.
  int wasSubreaper = 0;
  ::prctl(PR_GET_CHILD_SUBREAPER, &wasSubreaper);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t maker = ::fork();
  if (maker == 0) {
    outer.reset();
    return makeInit(plan, request, log, std::move(inner));
  }
  inner.reset();
  auto init = maker < 0 ? Result<pid_t>(systemError("fork")) : awaitInit(outer.get(), maker);
  ::prctl(PR_SET_CHILD_SUBREAPER, wasSubreaper);
  return init;
}

}  // namespace blcr
