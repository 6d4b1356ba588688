#include "dump/memory/budget.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/io.h"
#include "proc/parse.h"

namespace blcr {
namespace {

/** A limit or usage file: a number, or "max". */
uint64_t readNumber(const std::string& path) {
  const auto text = readFile(path);
  if (!text) return UINT64_MAX;
  std::string_view rest = text.value();
  return takeNumber(rest, 10).value_or(UINT64_MAX);
}

uint64_t inactiveFile(const std::string& directory) {
  const auto text = readFile(directory + "/memory.stat");
  if (!text) return 0;
  std::string_view rest = text.value();
  while (!rest.empty()) {
    std::string_view line = takeLine(rest);
    const std::string_view key = takeField(line);
    skipBlanks(line);
    if (key == "total_inactive_file" || key == "inactive_file") return takeNumber(line, 10).value_or(0);
  }
  return 0;
}

/** Room below the limits of one group and its ancestors. */
uint64_t roomInHierarchy(const std::string& mount, std::string group, const char* limitName, const char* usageName) {
  uint64_t room = UINT64_MAX;
  while (true) {
    const std::string directory = mount + group;
    const uint64_t limit = readNumber(directory + "/" + limitName);
    // Version 1 writes "no limit" as the largest page-aligned number.
    if (limit < UINT64_MAX / 4) {
      const uint64_t used = readNumber(directory + "/" + usageName) - std::min(inactiveFile(directory), limit);
      room = std::min(room, used < limit ? limit - used : 0);
    }
    if (group.size() <= 1) return room;
    group.resize(group.rfind('/'));
  }
}

uint64_t cgroupRoom(pid_t pid) {
  const auto text = readFile("/proc/" + std::to_string(pid) + "/cgroup");
  if (!text) return UINT64_MAX;
  uint64_t room = UINT64_MAX;
  std::string_view rest = text.value();
  while (!rest.empty()) {
    const std::string_view line = takeLine(rest);
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string group(line.substr(second + 1));
    if (controllers.empty()) {
      room = std::min(room, roomInHierarchy("/sys/fs/cgroup", group, "memory.max", "memory.current"));
    } else if (controllers.find("memory") != std::string_view::npos) {
      room = std::min(room, roomInHierarchy("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes", "memory.usage_in_bytes"));
    }
  }
  return room;
}

}  // namespace

uint64_t kilobyteField(const char* text, const char* key) {
  const char* at = std::strstr(text, key);
  return at == nullptr ? 0 : std::strtoull(at + std::strlen(key), nullptr, 10) * 1024;
}

uint64_t availableMemory(pid_t pid) {
  const auto text = readFile("/proc/meminfo");
  const uint64_t machine = text ? kilobyteField(text.value().c_str(), "MemAvailable:") : 0;
  return std::min(machine == 0 ? UINT64_MAX : machine, cgroupRoom(pid));
}

uint64_t anonymousMemory(const std::vector<pid_t>& pids) {
  uint64_t sum = 0;
  for (const pid_t pid : pids) {
    const auto text = readFile("/proc/" + std::to_string(pid) + "/status");
    if (text) sum += kilobyteField(text.value().c_str(), "RssAnon:") + kilobyteField(text.value().c_str(), "VmSwap:");
  }
  return sum;
}

}  // namespace blcr
