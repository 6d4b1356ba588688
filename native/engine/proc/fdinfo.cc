#include "proc/fdinfo.h"

#include <dirent.h>

#include <algorithm>
#include <memory>

#include "base/io.h"
#include "proc/parse.h"

namespace blcr {
namespace {

/** "(seconds, nanoseconds)", at most what the kernel's own 64 bits of nanoseconds hold. */
bool takeTime(std::string_view value, int64_t& nanoseconds) {
  constexpr uint64_t kSecond = 1'000'000'000;
  skipBlanks(value);
  takeChar(value, '(');
  const auto seconds = takeNumber(value, 10);
  takeChar(value, ',');
  skipBlanks(value);
  const auto rest = takeNumber(value, 10);
  if (!seconds || !rest || *rest >= kSecond || *seconds > (uint64_t{INT64_MAX} - *rest) / kSecond) return false;
  nanoseconds = int64_t(*seconds * kSecond + *rest);
  return true;
}

/** "tfd:        5 events:       19 data:                5  pos:0 ino:2c sdev:e" */
bool takeWatch(std::string_view line, EpollWatch& watch) {
  while (!line.empty()) {
    const std::string_view key = takeField(line);
    std::string_view inside = key;
    const size_t colon = key.find(':');
    if (colon == std::string_view::npos) return false;
    inside.remove_prefix(colon + 1);
    std::string_view value = inside.empty() ? takeField(line) : inside;
    const std::string_view name = key.substr(0, colon);
    if (name == "tfd") watch.fd = int32_t(takeNumber(value, 10).value_or(0));
    if (name == "events") watch.events = uint32_t(takeNumber(value, 16).value_or(0));
    if (name == "data") watch.data = takeNumber(value, 16).value_or(0);
    if (name == "ino") watch.inode = takeNumber(value, 16).value_or(0);
    if (name == "sdev") watch.device = uint32_t(takeNumber(value, 16).value_or(0));
    skipBlanks(line);
  }
  return true;
}

/** "inotify wd:1 ino:2c sdev:800013 mask:800afce ignored_mask:0 …", all hexadecimal */
bool takeMark(std::string_view line, InotifyMark& mark) {
  for (static_cast<void>(takeField(line)); !line.empty(); skipBlanks(line)) {
    std::string_view field = takeField(line);
    const size_t colon = field.find(':');
    if (colon == std::string_view::npos) return false;
    const std::string_view name = field.substr(0, colon);
    field.remove_prefix(colon + 1);
    if (name != "wd" && name != "ino" && name != "sdev" && name != "mask") continue;
    const auto value = takeNumber(field, 16);
    if (!value) return false;
    if (name == "wd") mark.number = int32_t(*value);
    if (name == "ino") mark.inode = *value;
    if (name == "sdev") mark.device = uint32_t(*value);
    if (name == "mask") mark.mask = uint32_t(*value);
  }
  return true;
}

/** "1: FLOCK  ADVISORY  WRITE 770 fd:00:525 0 EOF", "2: LEASE  BREAKING  READ 770 …": a lease that is no longer ACTIVE gets that as its
 * kind */
bool takeLock(std::string_view line, std::string& lock) {
  static_cast<void>(takeField(line));  // number
  std::string_view kind = takeField(line);
  const std::string_view state = takeField(line);
  if (kind == "LEASE" && state != "ACTIVE") kind = state;
  const std::string_view mode = takeField(line);
  const std::string_view owner = takeField(line);
  static_cast<void>(takeField(line));  // device and inode
  const std::string_view start = takeField(line);
  const std::string_view end = takeField(line);
  if (end.empty()) return false;
  for (const std::string_view part : {kind, mode, owner, start, end}) lock.append(lock.empty() ? "" : " ").append(part);
  return true;
}

bool applyLine(std::string_view key, std::string_view value, std::string_view line, FdInfo& info) {
  skipBlanks(value);
  const auto number = [&value](unsigned base) { return takeNumber(value, base).value_or(0); };
  if (key == "pos") info.position = number(10);
  if (key == "flags") info.flags = int32_t(number(8));
  if (key == "eventfd-count") info.eventCount = number(16);
  if (key == "eventfd-semaphore") info.semaphore = number(10) != 0;
  if (key == "sigmask") info.sigmask = number(16);
  if (key == "clockid") info.clock = int32_t(number(10));
  if (key == "ticks") info.ticks = number(10);
  if (key == "settime flags") info.timerFlags = uint32_t(number(8));
  if (key == "it_value") return takeTime(value, info.valueNs);
  if (key == "it_interval") return takeTime(value, info.intervalNs);
  if (key == "Pid") info.process = value.starts_with('-') ? -1 : int32_t(number(10));
  if (key == "inotify wd") return takeMark(line, info.marks.emplace_back());
  if (key == "tfd") return takeWatch(line, info.watches.emplace_back());
  if (key == "lock") return takeLock(value, info.locks.emplace_back());
  return true;
}

}  // namespace

Result<FdInfo> parseFdInfo(std::string_view text) {
  FdInfo info;
  if (!text.starts_with("pos:")) return Error{EINVAL, "fdinfo: malformed"};
  while (!text.empty()) {
    const std::string_view line = takeLine(text);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    if (!applyLine(line.substr(0, colon), line.substr(colon + 1), line, info)) {
      return Error{EINVAL, "fdinfo: malformed line: " + std::string(line.substr(0, 80))};
    }
  }
  return info;
}

Result<FdInfo> readFdInfo(pid_t pid, int fd) {
  auto text = readFile("/proc/" + std::to_string(pid) + "/fdinfo/" + std::to_string(fd));
  if (!text) return text.error();
  return parseFdInfo(*text);
}

Result<std::vector<int>> listDescriptors(pid_t pid) {
  const std::string directory = "/proc/" + std::to_string(pid) + "/fd";
  const std::unique_ptr<DIR, int (*)(DIR*)> handle(::opendir(directory.c_str()), ::closedir);
  if (!handle) return systemError(directory);
  std::vector<int> numbers;
  while (const dirent* entry = ::readdir(handle.get())) {
    std::string_view name = entry->d_name;
    const auto number = takeNumber(name, 10);
    if (number && name.empty()) numbers.push_back(int(*number));
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

}  // namespace blcr
