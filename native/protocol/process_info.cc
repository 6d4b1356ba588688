#include "protocol/process_info.h"

#include <fcntl.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace blcr {

namespace {

constexpr unsigned long kKernelThread = 0x00200000;  // PF_KTHREAD, field 9 of /proc/PID/stat
constexpr unsigned long kExiting = 0x00000004;       // PF_EXITING

Result<std::string> readSmallFile(pid_t pid, const char* name) {
  const std::string path = "/proc/" + std::to_string(pid) + "/" + name;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return errno == ENOENT ? Error{ESRCH, "there is no process " + std::to_string(pid)} : Error{errno, path};
  std::string text;
  char buffer[4096];
  ssize_t length = 0;
  while ((length = ::read(file.get(), buffer, sizeof buffer)) > 0) text.append(buffer, size_t(length));
  if (length < 0) return Error{errno, path};
  return text;
}

/** The line of /proc/PID/status after `key`, empty when there is none. */
std::string_view field(std::string_view status, std::string_view key) {
  const size_t at = status.find(key);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = status.substr(at + key.size());
  return rest.substr(0, rest.find('\n'));
}

long lastNumber(std::string_view line, long otherwise) {
  const size_t at = line.find_last_of("\t ");
  return at == std::string_view::npos ? otherwise : std::strtol(std::string(line.substr(at + 1)).c_str(), nullptr, 10);
}

}  // namespace

Result<ProcessInfo> readProcess(pid_t pid) {
  const auto stat = readSmallFile(pid, "stat");
  if (!stat) return stat.error();
  const auto status = readSmallFile(pid, "status");
  if (!status) return status.error();
  ProcessInfo info;
  const size_t comm = stat.value().rfind(')');  // a program's name may contain anything
  int parent = 0, group = 0, session = 0;
  unsigned long flags = 0;
  int threads = 0;
  if (comm == std::string::npos || std::sscanf(stat.value().c_str() + comm + 1,
                                               " %c %d %d %d %*d %*d %lu"
                                               " %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %d",
                                               &info.state, &parent, &group, &session, &flags, &threads) != 6) {
    return Error{EIO, "/proc/" + std::to_string(pid) + "/stat is not understood"};
  }
  const size_t open = stat.value().find('(');
  info.name = stat.value().substr(open + 1, comm - open - 1);
  info.parent = parent;
  info.kernelThread = (flags & kKernelThread) != 0;
  info.ended = info.state == 'X' || (info.state == 'Z' && threads <= 1);
  info.ending = info.ended || ((flags & kExiting) != 0 && info.state != 'Z');  // main() may have ended before other threads
  unsigned real = 0, effective = 0;
  if (std::sscanf(std::string(field(status.value(), "\nUid:")).c_str(), "%u %u", &real, &effective) == 2) info.uid = effective;
  info.innerPid = pid_t(lastNumber(field(status.value(), "\nNSpid:"), pid));
  info.innerGroup = pid_t(lastNumber(field(status.value(), "\nNSpgid:"), group));
  info.innerSession = pid_t(lastNumber(field(status.value(), "\nNSsid:"), session));
  return info;
}

}  // namespace blcr
