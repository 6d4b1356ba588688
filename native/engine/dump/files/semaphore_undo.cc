#include "dump/files/semaphore_undo.h"

#include <linux/kcmp.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <span>
#include <vector>

#include "base/codes.h"
#include "dump/files/lending.h"

namespace blcr {
namespace {

constexpr int kMost = 32767;  // SEMVMX, SEMAEM: of a value, and of an adjustment either way, which may be one lower

using Operations = std::vector<sembuf>;
constexpr size_t kMostOperations = 8;  // of one question

class Prober {
 public:
  /** `thread`: asked in place of the process's first one. */
  Prober(FrozenProcess& process, const image::SemaphoreSet& set, InjectionScope* thread = nullptr)
      : process_(process), set_(set), thread_(thread) {}

  /** Adjustments of all semaphores that are not zero. */
  Status find(std::vector<image::SemaphoreUndo>& into) {
    constexpr uint32_t kTogether = Scratch::kMaxCalls / 2;
    const auto count = uint32_t(set_.values.size());
    for (uint32_t first = 0; first < count; first += kTogether) {
      const uint32_t end = std::min(first + kTogether, count);
      std::vector<Operations> questions;  // of each, whether its adjustment is above 0, and whether below
      for (uint32_t number = first; number < end; ++number) {
        questions.push_back(takes(number, kMost));
        questions.push_back(gives(number, kMost, 1));
      }
      const auto exceeded = exceedEach(questions);
      if (!exceeded.ok()) return exceeded.error();
      for (uint32_t number = first; number < end; ++number) {
        const size_t at = 2 * (number - first);
        if (!exceeded.value()[at] && !exceeded.value()[at + 1]) continue;
        const auto adjustment = exceeded.value()[at] ? positive(number) : negative(number);
        if (!adjustment.ok()) return adjustment.error();
        into.push_back({process_.pid, number, adjustment.value()});
      }
    }
    return {};
  }

  /** Whether any adjustment is not zero, also while others change the values. */
  Result<bool> owesAny() {
    constexpr uint32_t kTogether = Scratch::kMaxCalls / 2;
    const auto count = uint32_t(set_.values.size());
    for (uint32_t first = 0; first < count; first += kTogether) {
      std::vector<Operations> questions;
      for (uint32_t number = first; number < std::min(first + kTogether, count); ++number)
        for (const int sign : {1, -1}) questions.push_back(swings(number, sign));
      const auto exceeded = exceedEach(questions);
      if (!exceeded.ok()) return exceeded.error();
      if (std::find(exceeded.value().begin(), exceeded.value().end(), true) != exceeded.value().end()) return true;
    }
    return false;
  }

 private:
  /** Taking `step` is refused exactly when the adjustment is above 32767 - step. */
  Result<int> positive(uint32_t number) {
    return smallest([this, number](int step) { return takes(number, step); }, [](int step) { return kMost + 1 - step; });
  }

  Result<int> negative(uint32_t number) {
    auto below = exceeds(gives(number, kMost, 0));  // below -1
    if (!below) return below.error();
    if (!*below) return -1;
    return smallest([this, number](int step) { return gives(number, step, 0); }, [](int step) { return step - kMost - 2; });
  }

  /** The smallest step that is refused; the largest one is. */
  template <typename Make, typename Meaning>
  Result<int> smallest(Make make, Meaning meaning) {
    int low = 0, high = kMost;
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      auto refused = exceeds(make(middle));
      if (!refused) return refused.error();
      (*refused ? high : low) = middle;
    }
    return meaning(high);
  }

  static void add(Operations& operations, uint32_t number, int change, int flags) {
    if (change != 0) operations.push_back({static_cast<unsigned short>(number), short(change), short(flags | IPC_NOWAIT)});
  }

  /** From the highest value down by `step`, which is to be given back; then one more than there is. */
  [[nodiscard]] Operations takes(uint32_t number, int step) const {
    Operations operations;
    add(operations, number, kMost - set_.values[number], 0);
    add(operations, number, -step, SEM_UNDO);
    add(operations, number, step - kMost, 0);
    add(operations, number, -1, 0);
    return operations;
  }

  /** From zero up by `step`, which is to be taken back, and by `more`; then a wait for zero. */
  [[nodiscard]] Operations gives(uint32_t number, int step, int more) const {
    Operations operations;
    add(operations, number, -int(set_.values[number]), 0);
    add(operations, number, step, SEM_UNDO);
    if (more != 0) add(operations, number, -step, 0);
    add(operations, number, more, SEM_UNDO);
    operations.push_back({static_cast<unsigned short>(number), 0, IPC_NOWAIT});
    return operations;
  }

  /**
   * An adjustment of zero is brought exactly to its limit, by steps that are given back at once and so fit whatever the value is now: only
   * on which side of the middle it is must be known. Then more is taken than there is; of 32767, whose taking would succeed, another unit.
   */
  [[nodiscard]] Operations swings(uint32_t number, int sign) const {
    constexpr int kHalf = (kMost + 1) / 2;
    const int last = sign > 0 ? 1 : 2;  // 32767 up, 32768 down
    const bool isHigh = set_.values[number] >= kHalf;
    Operations operations;
    for (const int step : {kHalf - 1, kHalf - 1, last}) {
      const bool undoneFirst = (sign > 0) == isHigh;
      add(operations, number, isHigh ? -step : step, undoneFirst ? SEM_UNDO : 0);
      add(operations, number, isHigh ? step : -step, undoneFirst ? 0 : SEM_UNDO);
    }
    add(operations, number, -kMost, 0);
    add(operations, number, -1, 0);
    return operations;
  }

  Result<bool> exceeds(const Operations& operations) {
    const auto one = exceedEach(std::span(&operations, 1));
    if (!one.ok()) return one.error();
    return bool(one.value().front());
  }

  /** The answers to several questions, asked at once. */
  Result<std::vector<bool>> exceedEach(std::span<const Operations> questions) {
    Scratch& scratch = process_.foothold->scratch();
    Operations all;
    std::vector<RemoteCall> calls;
    for (const Operations& operations : questions) {
      calls.push_back({SYS_semop, {uint64_t(set_.name.id), scratch.data() + all.size() * sizeof(sembuf), operations.size()}});
      all.insert(all.end(), operations.begin(), operations.end());
    }
    static_assert(Scratch::kMaxCalls * kMostOperations * sizeof(sembuf) <= Scratch::kDataSize);
    BLCR_TRY(scratch.memory().write(scratch.data(), std::as_bytes(std::span(all))));
    BLCR_TRY(thread_ != nullptr ? scratch.run(*thread_, calls) : process_.foothold->run(calls));
    std::vector<bool> answers;
    for (const RemoteCall& call : calls) {
      const bool known = call.result == -ERANGE || call.result == -EAGAIN || call.result == -EACCES;
      if (!known)
        return Error{kErrorNoSupport, "process " + std::to_string(process_.pid) + ": what it owes to System V semaphore set " +
                                          std::to_string(set_.name.id) + " cannot be found out (SEM_UNDO)"};
      answers.push_back(call.result == -ERANGE);  // EACCES: it may not change the set, and so has nothing to give back
    }
    return answers;
  }

  FrozenProcess& process_;
  const image::SemaphoreSet& set_;
  InjectionScope* thread_;
};

bool shareAdjustments(pid_t a, pid_t b) { return ::syscall(SYS_kcmp, a, b, KCMP_SYSVSEM, 0, 0) == 0; }

Error unusual(pid_t a, pid_t b, const char* what) {
  return Error{kErrorNoSupport, "tasks " + std::to_string(a) + " and " + std::to_string(b) + what};
}

Status checkThreads(const FrozenProcess& process) {
  for (const FrozenTask& task : process.tasks)
    if (!shareAdjustments(process.speaker(), task.tracee.tid()))
      return unusual(process.speaker(), task.tracee.tid(), ", threads of one process, do not share semaphore adjustments");
  return {};
}

/** Without kcmp: threads of which none owes anything need not be told apart. */
Status askThreads(FrozenProcess& process, const image::SemaphoreSet& set, bool owes) {
  for (size_t index = 1; index < process.tasks.size(); ++index) {
    std::vector<image::SemaphoreUndo> owed;
    if (!owes) {
      auto thread = InjectionScope::enter(process.tasks[index].tracee, process.syscallInstruction);
      if (!thread) return thread.error();
      BLCR_TRY(Prober(process, set, &*thread).find(owed));
      BLCR_TRY(thread->restore());
    }
    if (owes || !owed.empty())
      return unusual(process.pid, process.tasks[index].tracee.tid(),
                     ", threads of one process, may not share semaphore adjustments (SEM_UNDO): it cannot be told, kcmp is forbidden here");
  }
  return {};
}

using Undo = std::vector<image::SemaphoreUndo>;

/** What two of them owe to a set. Without kcmp different adjustments are a proof, equal ones are not. */
Status checkPair(const Undo& all, const FrozenProcess& first, const FrozenProcess& second, bool compares) {
  const pid_t one = first.pid, other = second.pid;
  if (compares && shareAdjustments(first.speaker(), second.speaker()))
    return unusual(one, other, ", two processes, share semaphore adjustments");
  const auto owed = [&all](pid_t pid) {
    std::map<uint32_t, int32_t> found;
    for (const image::SemaphoreUndo& undo : all)
      if (undo.pid == pid) found[undo.number] = undo.adjustment;
    return found;
  };
  if (compares || owed(one) != owed(other)) return {};
  return unusual(one, other, ", two processes, may share semaphore adjustments (SEM_UNDO): it cannot be told, kcmp is forbidden here");
}

/** Its threads as well, unless they are known to share with the first one. */
Result<bool> owesAny(FrozenProcess& process, const image::SemaphoreSet& set, bool compares) {
  auto owes = Prober(process, set).owesAny();
  for (size_t index = 1; owes.ok() && !*owes && index < process.tasks.size(); ++index) {
    if (compares && shareAdjustments(process.speaker(), process.tasks[index].tracee.tid())) continue;
    auto thread = InjectionScope::enter(process.tasks[index].tracee, process.syscallInstruction);
    if (!thread) return thread.error();
    owes = Prober(process, set, &*thread).owesAny();
    BLCR_TRY(thread->restore());
  }
  return owes;
}

}  // namespace

Result<bool> owesSemaphores(std::deque<FrozenProcess>& processes, const image::SemaphoreSet& set) {
  const bool compares = mayCompare();
  for (FrozenProcess& process : processes) {
    if (process.zombie) continue;
    auto owes = owesAny(process, set, compares);
    if (!owes || *owes) return owes;
  }
  return false;
}

Status recordSemaphoreUndo(std::deque<FrozenProcess>& processes, image::SemaphoreSet& set, bool operated) {
  const bool compares = mayCompare();
  for (FrozenProcess& process : processes) {
    if (process.zombie) continue;
    if (compares) BLCR_TRY(checkThreads(process));
    if (!operated) continue;
    const size_t before = set.undo.size();
    BLCR_TRY(Prober(process, set).find(set.undo));
    if (!compares) BLCR_TRY(askThreads(process, set, set.undo.size() > before));
    for (size_t index = 0; index < before && set.undo.size() > before; ++index) {
      const auto isIt = [pid = set.undo[index].pid](const FrozenProcess& other) { return other.pid == pid; };
      BLCR_TRY(checkPair(set.undo, process, *std::find_if(processes.begin(), processes.end(), isIt), compares));
    }
  }
  return {};
}

}  // namespace blcr
