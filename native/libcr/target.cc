#include "target.h"

#include <dirent.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "process_info.h"
#include "protocol/address.h"

namespace blcr::libcr {

namespace {

/** A connection is a keeper's only when the process that listens is the ancestor itself: anybody may take an abstract name. */
bool listens(int socket, pid_t expected) {
  ucred peer{};
  socklen_t length = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid == expected;
}

Result<UniqueFd> tryConnect(pid_t pid) {
  struct stat directory{};
  if (::stat(("/proc/" + std::to_string(pid)).c_str(), &directory) != 0) return Error{ESRCH, "no such process"};
  auto address = keeperAddress(directory.st_uid, pid);
  if (!address) return address.error();
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return systemError("make a socket");
  const auto* name = reinterpret_cast<const sockaddr*>(&address->address);
  if (::connect(socket.get(), name, address->length) != 0) {
    if (errno == ECONNREFUSED || errno == ENOENT) return UniqueFd();
    return systemError("connect to the keeper " + std::to_string(pid));
  }
  return listens(socket.get(), pid) ? std::move(socket) : UniqueFd();
}

/** The first living process for which `wanted` holds, 0 when there is none. */
template <typename Wanted>
pid_t findProcess(Wanted wanted) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc"), ::closedir);
  if (!directory) return 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    const pid_t pid = static_cast<pid_t>(std::atoi(entry->d_name));
    if (pid > 0 && wanted(pid)) return pid;
  }
  return 0;
}

/** Any living process whose group or session (by `scope`) is `number`. */
Result<pid_t> findMember(cr_scope_t scope, pid_t number) {
  const pid_t found = findProcess([=](pid_t pid) {
    if ((scope == CR_SCOPE_PGRP ? ::getpgid(pid) : ::getsid(pid)) != number) return false;
    const auto info = readProcess(pid);
    return info && info.value().state != 'Z';
  });
  if (found > 0) return found;
  return Error{ESRCH, "no process in the group or session " + std::to_string(number)};
}

/** cr_restart is no part of the job whose parent it is: like with BLCR, its number stands for the job. Its child is the job's keeper. */
pid_t behindRestart(pid_t pid, const ProcessInfo& info) {
  if (info.name != "cr_restart") return pid;
  const pid_t child = findProcess([=](pid_t candidate) {
    const auto found = readProcess(candidate);
    return found && found.value().parent == pid;
  });
  return child > 0 ? child : pid;
}

pid_t ownNumber(cr_scope_t scope) {
  if (scope == CR_SCOPE_PGRP) return ::getpgrp();
  return scope == CR_SCOPE_SESS ? ::getsid(0) : ::getpid();
}

Status checkAllowed(pid_t pid, const ProcessInfo& info) {
  if (info.state == 'Z' || info.state == 'X') return Error{ESRCH, "process " + std::to_string(pid) + " has ended"};
  if (info.kernelThread) return Error{EPERM, "process " + std::to_string(pid) + " is a kernel thread"};
  if (info.uid != ::geteuid() && ::geteuid() != 0) return Error{EPERM, "process " + std::to_string(pid) + " belongs to another user"};
  return {};
}

}  // namespace

Result<UniqueFd> connectKeeper(pid_t pid, pid_t& nearest) {
  for (int depth = 0; pid > 0 && depth < 4096; ++depth) {
    auto socket = tryConnect(pid);
    if (!socket) return socket.error();
    nearest = pid;
    if (*socket) return socket;
    const auto info = readProcess(pid);
    if (!info) return info.error();
    pid = info.value().parent;
  }
  nearest = 0;
  return UniqueFd();
}

Result<Target> findTarget(cr_scope_t scope, pid_t number) {
  if (number < 0) return Error{ESRCH, "no such process"};
  if (number == 0) number = ownNumber(scope);
  Target target;
  const bool many = scope == CR_SCOPE_PGRP || scope == CR_SCOPE_SESS;
  if (many) {
    const auto member = findMember(scope, number);
    if (!member) return member.error();
    target.member = member.value();
  } else {
    target.member = number;
  }
  auto info = readProcess(target.member);
  if (!info) return info.error();
  if (const pid_t child = many ? 0 : behindRestart(target.member, *info); child != target.member && child > 0) {
    target.member = child;
    info = readProcess(child);
    if (!info) return info.error();
  }
  BLCR_TRY(checkAllowed(target.member, info.value()));
  pid_t nearest = 0;
  auto keeper = connectKeeper(target.member, nearest);
  if (!keeper) return keeper.error();
  target.keeper = *std::move(keeper);
  target.number = scope == CR_SCOPE_PGRP   ? info.value().innerGroup
                  : scope == CR_SCOPE_SESS ? info.value().innerSession
                                           : info.value().innerPid;
  if (target.keeper && nearest == target.member && !many) target.number = 0;
  if (!target.keeper && target.member == 1) return Error{CR_ENOSUPPORT, "pid 1 cannot be checkpointed"};
  return target;
}

}  // namespace blcr::libcr
