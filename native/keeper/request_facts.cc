#include "request_facts.h"

#include <sys/socket.h>

#include <algorithm>
#include <set>

#include "base/codes.h"
#include "base/io.h"
#include "dump/frozen.h"
#include "libcr.h"
#include "proc/status.h"

namespace blcr {

namespace {

/** libcr_omit catches this signal, as BLCR's does: only then the list of mapped files is worth reading. */
constexpr int kOmitSignal = 64;

bool asksToBeOmitted(pid_t pid, const ProcStatus& status) {
  if ((status.caught >> (kOmitSignal - 1) & 1) == 0) return false;
  const auto maps = readFile("/proc/" + std::to_string(pid) + "/maps");
  return maps && maps.value().find("/libcr_omit.so") != std::string::npos;
}

}  // namespace

std::string pathOf(int fd) {
  char path[4096];
  const ssize_t length = ::readlink(descriptorPath(fd).c_str(), path, sizeof path);
  const std::string_view text(path, length > 0 ? size_t(length) : 0);
  return text.starts_with('/') && !text.ends_with(" (deleted)") ? std::string(text) : std::string();
}

pid_t peerOf(int connection) {
  ucred peer{};
  socklen_t length = sizeof peer;
  return ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer.pid : 0;
}

uint32_t carriedFiles(uint32_t flags) {
  uint32_t carry = 0;
  if ((flags & CR_CHKPT_DUMP_EXEC) != 0) carry |= kCarryExecutable;
  if ((flags & CR_CHKPT_DUMP_PRIVATE) != 0) carry |= kCarryPrivate;
  if ((flags & CR_CHKPT_DUMP_SHARED) != 0) carry |= kCarryShared;
  return carry;
}

Status applySkips(DumpRequest& dump, uint32_t flags) {
  const auto members = scopeMembers(dump);
  if (!members) return members.error();
  const bool skipsTracers = (flags & CR_CHKPT_PTRACER_SKIP) != 0;
  std::set<pid_t> tracers;
  if (skipsTracers) {
    const auto all = listProcesses();
    if (!all) return all.error();
    for (const pid_t pid : all.value()) {
      const auto status = readStatus(pid);
      if (status && status.value().tracer != 0) tracers.insert(status.value().tracer);
    }
  }
  for (const pid_t pid : members.value()) {
    const auto status = readStatus(pid);
    if (!status) continue;
    const pid_t tracer = status.value().tracer;
    if (tracer != 0 && (flags & CR_CHKPT_PTRACED_SKIP) == 0) {
      return Error{kErrorTraced, "process " + std::to_string(pid) + " is traced by process " + std::to_string(tracer)};
    }
    if (tracer != 0 || tracers.contains(pid)) dump.omit.push_back(pid);
    if (asksToBeOmitted(pid, status.value())) dump.leftOut.push_back(pid);
  }
  return {};
}

}  // namespace blcr
