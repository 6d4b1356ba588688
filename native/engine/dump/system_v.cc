#include "dump/system_v.h"

#include <sys/sem.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include "base/codes.h"
#include "base/io.h"
#include "proc/parse.h"

namespace blcr {
namespace {

/** Clocks of different kinds are compared: leave them two seconds. */
constexpr int64_t kSlack = 2;

/** Start times by process id, in seconds since 1970. */
using Starts = std::map<pid_t, int64_t>;

Starts startsOf(const std::deque<FrozenProcess>& processes) {
  timespec now{}, up{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  ::clock_gettime(CLOCK_BOOTTIME, &up);
  const auto ticks = uint64_t(::sysconf(_SC_CLK_TCK));
  Starts starts;
  for (const FrozenProcess& process : processes) starts[process.pid] = now.tv_sec - up.tv_sec + int64_t(process.stat.startTime / ticks);
  return starts;
}

/** Whether `pid` is a process of the job, and not an earlier one with the same number, at the time of the use. */
bool isOurs(const Starts& starts, uint64_t pid, uint64_t time) {
  const auto found = starts.find(pid_t(pid));
  return found != starts.end() && int64_t(time) + kSlack >= found->second;
}

Error refusal(uint64_t pid, const char* what, uint64_t id) {
  return Error{kErrorNoSupport,
               "process " + std::to_string(pid) + ": it uses " + what + " " + std::to_string(id) + ", which is not supported"};
}

/** The numbers of one line of /proc/sysvipc/…; the first two, key and identifier, may be negative and are told as they are. */
std::vector<uint64_t> numbersOf(std::string_view line) {
  std::vector<uint64_t> numbers;
  for (std::string_view field = takeField(line); !field.empty(); field = takeField(line)) {
    takeChar(field, '-');
    numbers.push_back(takeNumber(field, 10).value_or(0));
  }
  return numbers;
}

/** Calls `check` for each object of a table with at least `columns` numbers. Source: proc(5), sysvipc. */
template <typename Check>
Status forEachObject(const char* table, size_t columns, Check check) {
  const auto text = readFile(std::string("/proc/sysvipc/") + table);
  if (!text) return {};  // no such objects in this kernel
  std::string_view rest = text.value();
  takeLine(rest);  // headings
  while (!rest.empty()) {
    const std::vector<uint64_t> numbers = numbersOf(takeLine(rest));
    if (numbers.size() >= columns) BLCR_TRY(check(numbers));
  }
  return {};
}

/** key semid perms nsems uid gid cuid cgid otime ctime; who used each semaphore last is asked for one by one. */
Status checkSemaphores(const Starts& starts) {
  return forEachObject("sem", 10, [&starts](const std::vector<uint64_t>& set) -> Status {
    for (int number = 0; uint64_t(number) < set[3]; ++number) {
      const int last = ::semctl(int(set[1]), number, GETPID);
      if (last < 0) break;  // another user's, or gone
      if (isOurs(starts, uint64_t(last), set[8])) return refusal(uint64_t(last), "System V semaphore set", set[1]);
    }
    return {};
  });
}

/** key msqid perms cbytes qnum lspid lrpid uid gid cuid cgid stime rtime ctime */
Status checkQueues(const Starts& starts) {
  return forEachObject("msg", 14, [&starts](const std::vector<uint64_t>& queue) -> Status {
    if (isOurs(starts, queue[5], queue[11])) return refusal(queue[5], "System V message queue", queue[1]);
    if (isOurs(starts, queue[6], queue[12])) return refusal(queue[6], "System V message queue", queue[1]);
    return {};
  });
}

/** key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime … */
Status checkSegments(const Starts& starts) {
  return forEachObject("shm", 14, [&starts](const std::vector<uint64_t>& segment) -> Status {
    // OpenSSL's mark that the system's random numbers are seeded, which it makes before Linux 4.8 and does without where it is missing.
    if (segment[3] <= 1 && segment[6] == 0) return {};
    if (isOurs(starts, segment[4], segment[13])) return refusal(segment[4], "System V shared memory", segment[1]);
    return {};
  });
}

}  // namespace

Status refuseSystemV(const std::deque<FrozenProcess>& processes) {
  const Starts starts = startsOf(processes);
  BLCR_TRY(checkSemaphores(starts));
  BLCR_TRY(checkQueues(starts));
  return checkSegments(starts);
}

}  // namespace blcr
