#include "dump/host.h"

#include <sys/auxv.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "arch/x86_64/baseline.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/xstate.h"
#include "base/clock.h"
#include "base/codes.h"
#include "base/io.h"
#include "proc/maps.h"
#include "proc/status.h"

namespace blcr {
namespace {

struct Offsets {
  int64_t monotonic = 0, boottime = 0;
};

/** "monotonic   -12   345" lines. Source: time_namespaces(7). */
Offsets timeOffsets(const std::string& pid) {
  Offsets offsets;
  const auto text = readFile("/proc/" + pid + "/timens_offsets");
  if (!text) return offsets;
  const auto read = [&](const char* key) -> int64_t {
    const char* at = std::strstr(text.value().c_str(), key);
    if (at == nullptr) return 0;
    char* end = nullptr;
    const int64_t seconds = std::strtoll(at + std::strlen(key), &end, 10);
    return seconds * 1000000000 + std::strtoll(end, nullptr, 10);
  };
  offsets.monotonic = read("monotonic");
  offsets.boottime = read("boottime");
  return offsets;
}

}  // namespace

void recordHost(const std::string& cpuBaseline, image::Host& into) {
  utsname name{};
  ::uname(&name);
  into.kernel = name.release;
  into.machine = name.machine;
  if (auto boot = readFile("/proc/sys/kernel/random/boot_id")) into.boot = *std::move(boot);
  into.cpuid = reducedTo(cpuBaseline, cpuFeatures());
  into.cpuBaseline = cpuBaseline;
  into.xcr0 = cpuXcr0();
  into.xstateLayout = xstateLayout();
  const auto maps = readMaps(::getpid());
  const uint64_t vdso = ::getauxval(AT_SYSINFO_EHDR);
  if (!maps) return;
  for (const Mapping& mapping : maps.value()) {
    if (mapping.start != vdso) continue;
    into.vdso.assign(reinterpret_cast<const char*>(vdso), mapping.end - mapping.start);
  }
}

void recordClocks(pid_t pid, image::Host& into) {
  into.monotonicNs = nowNs(CLOCK_MONOTONIC);
  into.boottimeNs = nowNs(CLOCK_BOOTTIME);
  into.realtimeNs = nowNs(CLOCK_REALTIME);
  const auto mine = readLink("/proc/self/ns/time"), theirs = readLink("/proc/" + std::to_string(pid) + "/ns/time");
  if (!mine || !theirs || mine.value() == theirs.value()) return;
  const Offsets own = timeOffsets("self"), other = timeOffsets(std::to_string(pid));
  into.monotonicNs += other.monotonic - own.monotonic;
  into.boottimeNs += other.boottime - own.boottime;
}

static std::string placeOf(const char* kind, pid_t task) {
  const auto found = readLink("/proc/" + std::to_string(task) + "/ns/" + kind);
  return found ? found.value() : std::string();
}

/** "pid" and "time" are those of its next children, too, unless it has asked for others, which nobody may be in yet. */
static Status refuseForeignChildren(pid_t pid, pid_t speaker) {
  for (const auto& [kind, childrens] : {std::pair("pid", "pid_for_children"), std::pair("time", "time_for_children")}) {
    const std::string own = placeOf(kind, speaker);
    const bool differs = !own.empty() && own != placeOf(childrens, speaker);
    const bool hasEnded = differs && placeOf("net", speaker).empty();  // and has no namespace for anybody any more
    if (differs && !hasEnded)
      return Error{kErrorNoSupport, "process " + std::to_string(pid) + " makes its children in another " + kind + " namespace"};
  }
  return {};
}

/** Only root's can have moved by themselves: a new user namespace is for whole processes. */
static Status refuseForeignThreads(pid_t pid, pid_t speaker) {
  const auto threads = ::geteuid() == 0 ? listTasks(pid) : Result<std::vector<pid_t>>(std::vector<pid_t>());
  if (!threads || threads.value().size() < 2) return {};
  for (const char* kind : {"net", "mnt", "uts", "ipc"}) {
    const std::string usual = placeOf(kind, speaker);
    for (const pid_t thread : threads.value()) {
      const std::string own = placeOf(kind, thread);
      if (own.empty() || own == usual) continue;
      return Error{kErrorNoSupport, "process " + std::to_string(pid) + " thread " + std::to_string(thread) + " lives in another " + kind +
                                        " namespace than its process"};
    }
  }
  return {};
}

Status refuseForeignNamespaces(pid_t pid, pid_t speaker) {
  for (const char* kind : {"pid", "mnt", "user", "net", "ipc", "uts", "cgroup", "time"}) {
    const auto mine = readLink(std::string("/proc/self/ns/") + kind);
    const auto theirs = readLink("/proc/" + std::to_string(speaker) + "/ns/" + kind);
    if (!mine || !theirs || mine.value() == theirs.value()) continue;
    return Error{kErrorNoSupport, "process " + std::to_string(pid) + " lives in another " + kind + " namespace"};
  }
  BLCR_TRY(refuseForeignChildren(pid, speaker));
  BLCR_TRY(refuseForeignThreads(pid, speaker));
  const auto root = readLink("/proc/" + std::to_string(speaker) + "/root");
  if (root && root.value() != "/")
    return Error{kErrorNoSupport, "process " + std::to_string(pid) + " has another root directory (chroot): " + root.value()};
  return {};
}

}  // namespace blcr
