#include "target.h"

#include <dirent.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "protocol/find_keeper.h"
#include "protocol/process_info.h"

namespace blcr::libcr {

namespace {

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
    return info && !info.value().ended;
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
  if (info.ended) return Error{ESRCH, "process " + std::to_string(pid) + " has ended"};
  if (info.kernelThread) return Error{EPERM, "process " + std::to_string(pid) + " is a kernel thread"};
  if (info.uid != ::geteuid() && ::geteuid() != 0) return Error{EPERM, "process " + std::to_string(pid) + " belongs to another user"};
  return {};
}

}  // namespace

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
  if (!target.keeper && (info->name == "cr_restart" || info->name == "blcr-keeper")) {
    return Error{CR_ETEMPFAIL, "process " + std::to_string(target.member) + " is about to start or restart a job"};
  }
  if (!target.keeper && target.member == 1) return Error{CR_ENOSUPPORT, "pid 1 cannot be checkpointed"};
  return target;
}

}  // namespace blcr::libcr
