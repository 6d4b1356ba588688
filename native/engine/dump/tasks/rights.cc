#include "dump/tasks/rights.h"

#include <sched.h>

#include <algorithm>
#include <limits>
#include <tuple>

#include "base/codes.h"

namespace blcr {
namespace {

bool haveSameCredentials(const ProcStatus& one, const ProcStatus& other) {
  const auto all = [](const ProcStatus& task) {
    return std::tie(task.uid, task.gid, task.groups, task.capInheritable, task.capPermitted, task.capEffective, task.capBounding,
                    task.capAmbient);
  };
  return all(one) == all(other);
}

/** The lines of a status that rights show in, with some others: equal ones need not be parsed. Empty where they are not as expected. */
std::string_view between(std::string_view status, std::string_view begin, std::string_view end) {
  const size_t from = status.find(begin);
  const size_t to = from == std::string_view::npos ? from : status.find(end, from);
  return to == std::string_view::npos ? std::string_view() : status.substr(from, to - from);
}
std::string_view usersIn(std::string_view status) { return between(status, "\nUid:", "\nNStgid:"); }
std::string_view capabilitiesIn(std::string_view status) { return between(status, "\nCapInh:", "\nSpeculation_Store_Bypass:"); }

/** Below, starting a thread takes longer than it saves. */
constexpr size_t kMany = 16;

/** Of the calling thread: schedulers that pack what wakes each other on one processor would let the two take turns while others rest. */
void moveAway(int processor) {
  cpu_set_t allowed;
  if (processor < 0 || ::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  CPU_CLR(processor, &allowed);
  if (CPU_COUNT(&allowed) > 0) ::sched_setaffinity(0, sizeof allowed, &allowed);
}

}  // namespace

Status RightsOfProcess::refuseOwnFilter(pid_t tid, const ProcStatus& task) const {
  const bool isOwn = task.seccomp != keeper_->seccomp || (keeper_->seccompFilters >= 0 && task.seccompFilters > keeper_->seccompFilters);
  if (task.seccomp == 0 || !isOwn) return {};
  return Error{kErrorNoSupport, taskName(pid_, tid) + " has installed a seccomp filter of its own, which cannot be read"};
}

Status RightsOfProcess::lookAtFirst() {
  auto text = readTaskStatusText(pid_, first_);
  if (!text) return text.error();
  auto status = parseStatus(*text);
  if (!status) return status.error();
  status_ = *std::move(status);
  users_ = usersIn(*text), capabilities_ = capabilitiesIn(*text);
  return refuseOwnFilter(first_, status_);
}

Status RightsOfProcess::check(pid_t tid) {
  if (!std::exchange(isKnown_, true)) verdict_ = lookAtFirst();
  if (tid == first_ || !verdict_) return verdict_;
  auto text = readTaskStatusText(pid_, tid);
  if (!text) return text.error();
  if (!users_.empty() && !capabilities_.empty() && usersIn(*text) == users_ && capabilitiesIn(*text) == capabilities_) return {};
  auto status = parseStatus(*text);
  if (!status) return status.error();
  BLCR_TRY(refuseOwnFilter(tid, *status));
  if (haveSameCredentials(status_, *status)) return {};
  return Error{kErrorNoSupport, taskName(pid_, tid) + " has other credentials than its process"};
}

RightsCheck::RightsCheck(const std::deque<FrozenProcess>& processes, const KeeperTraits& keeper) : keeper_(keeper) {
  size_t tasks = 0;
  for (const FrozenProcess& process : processes) {
    if (process.zombie) continue;
    Entry& entry = entries_.emplace_back(Entry{process.pid, tasks, {}});
    for (const FrozenTask& task : process.tasks) entry.tids.push_back(task.tracee.tid());
    tasks += entry.tids.size();
  }
  known_ = tasks;
  verdicts_.resize(tasks);
  // Without another thread all are read here.
  if (tasks >= kMany) static_cast<void>(thread_.start([this, here = ::sched_getcpu()] { readBackwards(here); }));
}

RightsCheck::~RightsCheck() {
  asked_ = std::numeric_limits<size_t>::max();
  thread_.join();
}

void RightsCheck::readBackwards(int away) {
  moveAway(away);
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    RightsOfProcess rights(entry->pid, entry->tids.front(), keeper_);
    for (size_t index = entry->tids.size(); index-- > 0;) {
      const size_t task = entry->first + index;
      if (task < asked_) return;
      verdicts_[task] = rights.check(entry->tids[index]);
      known_ = task;
    }
  }
}

Status RightsCheck::of(pid_t pid, size_t end) {
  const auto entry = std::find_if(entries_.begin(), entries_.end(), [pid](const Entry& one) { return one.pid == pid; });
  if (entry == entries_.end()) return Error{ESRCH, taskName(pid, pid) + " is not stopped"};
  if (!current_ || current_->pid() != pid) current_.emplace(pid, entry->tids.front(), keeper_);
  const size_t last = entry->first + std::min(end, entry->tids.size());
  for (size_t task = std::max(entry->first, asked_.load()); task < last; ++task) {
    asked_ = task + 1;
    BLCR_TRY(task < known_ ? current_->check(entry->tids[task - entry->first]) : verdicts_[task]);
  }
  return {};
}

}  // namespace blcr
