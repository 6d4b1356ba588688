#include "descendants.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "base/clock.h"
#include "proc/status.h"

namespace blcr {

std::vector<pid_t> descendants() {
  std::multimap<pid_t, pid_t> children;
  const auto all = listProcesses();
  if (!all) return {};
  for (const pid_t pid : all.value()) {
    if (const auto stat = readStat(pid)) children.emplace(stat.value().ppid, pid);
  }
  std::vector<pid_t> found{::getpid()};
  for (size_t index = 0; index < found.size(); ++index) {
    const auto [first, last] = children.equal_range(found[index]);
    for (auto child = first; child != last; ++child) found.push_back(child->second);
  }
  found.erase(found.begin());
  return found;
}

void killDescendants(int limitMs) {
  const int64_t end = nowNs() + int64_t(limitMs) * 1000000;
  // Again and again: the children of a killed process come to us, and one that forks is quicker than a single round.
  for (long pauseUs = 200; nowNs() < end; pauseUs = std::min(pauseUs * 2, 20000L)) {
    pid_t reaped = 0;
    while ((reaped = ::waitpid(-1, nullptr, WNOHANG | __WALL)) > 0) continue;
    if (reaped < 0 && errno == ECHILD) return;
    for (const pid_t pid : descendants()) ::kill(pid, SIGKILL);
    sleepUs(pauseUs);
  }
}

}  // namespace blcr
