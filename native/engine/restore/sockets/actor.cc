#include "restore/sockets/actor.h"

#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/features.h"

namespace blcr {
namespace {

pid_t cloneSharingFiles(uint32_t pid) {
  if (featureAllowed("clone3")) {
    const pid_t number = pid_t(pid);
    clone_args args{};
    args.flags = CLONE_FILES;
    if (pid != 0) {
      args.set_tid = reinterpret_cast<uint64_t>(&number);
      args.set_tid_size = 1;
    }
    const long made = ::syscall(SYS_clone3, &args, sizeof args);
    if (made >= 0) return pid_t(made);
  }
  // The number is taken, or cannot be chosen: what is noted down then is that of a process that has ended.
  return pid_t(::syscall(SYS_clone, CLONE_FILES, 0, 0, 0, 0));
}

int makeParents(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (::mkdir(path.substr(0, slash).c_str(), 0700) != 0 && errno != EEXIST) return errno;
  return 0;
}

image::PeerCredentials ownIds() {
  image::PeerCredentials own;
  own.uid = ::geteuid(), own.gid = ::getegid();
  own.groups.resize(size_t(std::max(::getgroups(0, nullptr), 0)));
  own.groups.resize(size_t(std::max(::getgroups(int(own.groups.size()), own.groups.data()), 0)));
  return own;
}

/** System calls of this process, as a Stub makes them. */
struct OwnCalls {
  [[nodiscard]] static Result<uint64_t> call(const std::string& what, long number, std::array<uint64_t, 6> arguments) {
    const long got = ::syscall(number, arguments[0], arguments[1], arguments[2]);
    if (got < 0) return systemError(what);
    return uint64_t(got);
  }
  [[nodiscard]] static Result<uint64_t> put(std::span<const std::byte> bytes) { return reinterpret_cast<uint64_t>(bytes.data()); }
};

/** All that are permitted: another effective user has taken them away, or given them back. */
template <typename Caller>
Status useCapabilities(Caller& caller) {
  const __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (::syscall(SYS_capget, &header, data) != 0) return systemError("capabilities");
  for (__user_cap_data_struct& half : data) half.effective = half.permitted;
  const auto headerAt = caller.put(std::as_bytes(std::span(&header, 1)));
  const auto dataAt = caller.put(std::as_bytes(std::span(data)));
  if (!headerAt.ok() || !dataAt.ok()) return headerAt.ok() ? dataAt.error() : headerAt.error();
  return done(caller.call("capabilities", SYS_capset, {headerAt.value(), dataAt.value()}));
}

/** Effective ids only: the others keep the permitted capabilities, and the way back. */
template <typename Caller>
Status become(Caller&& caller, const image::PeerCredentials& from, const image::PeerCredentials& to) {
  constexpr uint64_t kSame = ~uint32_t(0);
  const bool sameIds = from.uid == to.uid && from.gid == to.gid;
  if (from.groups != to.groups) {
    const auto groups = caller.put(std::as_bytes(std::span(to.groups)));
    if (!groups.ok()) return groups.error();
    const Status set = done(caller.call("setgroups", SYS_setgroups, {to.groups.size(), groups.value()}));
    if (!sameIds) BLCR_TRY(set);
  }
  if (from.gid != to.gid) BLCR_TRY(done(caller.call("setresgid", SYS_setresgid, {kSame, to.gid, kSame})));
  if (from.uid == to.uid) return {};
  BLCR_TRY(done(caller.call("setresuid to " + std::to_string(to.uid), SYS_setresuid, {kSame, to.uid, kSame})));
  return useCapabilities(caller);
}

}  // namespace

Status actAs(uint32_t pid, const std::string& what, const std::function<int()>& act) {
  const pid_t actor = cloneSharingFiles(pid);
  if (actor == 0) ::_exit(act());
  if (actor < 0) return systemError(what);
  int status = 0;
  while (::waitpid(actor, &status, __WALL) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  errno = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
  return systemError(what);
}

Status actAs(const image::PeerCredentials& who, const std::string& what, const std::function<int()>& act) {
  if (who.pid == 0) return actAs(0, what, act);
  return actAs(who.pid, what, [&] {
    const Status taken = become(OwnCalls(), ownIds(), who);
    return taken.ok() ? act() : taken.error().code;
  });
}

Status actIn(Stub& stub, const image::PeerCredentials& who, const std::function<Status()>& act) {
  const image::PeerCredentials own = ownIds();
  BLCR_TRY(become(stub, own, who));
  const Status acted = act();
  BLCR_TRY(become(stub, who, own));
  return acted;
}

int enterEmptyRoot(const std::string& path, const std::string& directory) {
  if (::unshare(CLONE_NEWNS) != 0) return errno;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
  // Any directory serves as the place of the new root; this one exists everywhere and is not needed here.
  if (::mount("tmpfs", "/proc", "tmpfs", 0, nullptr) != 0 || ::chroot("/proc") != 0 || ::chdir("/") != 0) return errno;
  if (const int code = makeParents(directory + "/"); code != 0) return code;
  if (!directory.empty() && ::chdir(directory.c_str()) != 0) return errno;
  return makeParents(path);
}

}  // namespace blcr
