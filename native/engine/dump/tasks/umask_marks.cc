#include "dump/tasks/umask_marks.h"

#include <sys/syscall.h>

#include <optional>
#include <vector>

#include "proc/status.h"

namespace blcr {
namespace {

constexpr unsigned kBits = 9;  // of a umask
constexpr uint32_t kMask = (1u << kBits) - 1;

/** A task of which the umask can be changed: a leader by its process's foothold. Put back when it goes. */
class Marked {
 public:
  /** `before`: read before anything was marked, for who shares with another one has its mark by now. */
  Marked(FrozenProcess& process, uint32_t before) : process_(process), before_(before) {}
  Marked(const Marked&) = delete;
  Marked& operator=(const Marked&) = delete;
  ~Marked() {
    if (isChanged_) static_cast<void>(set(before_));
  }
  /** A thread that has its own; the leader is left alone. */
  Status enter(FrozenTask& task) {
    auto scope = InjectionScope::enter(task.tracee, process_.syscallInstruction);
    if (!scope) return scope.error();
    scope_.emplace(*std::move(scope));
    return {};
  }
  Status set(uint32_t umask) {
    RemoteCall call{SYS_umask, {umask}};
    isChanged_ = true;
    if (scope_) {
      const auto result = scope_->call("umask", SYS_umask, call.arguments);
      if (!result) return result.error();
      call.result = int64_t(result.value());
    } else {
      BLCR_TRY(process_.foothold->run(std::span(&call, 1)));
    }
    if (call.result < 0) return Error{int(-call.result), "process " + std::to_string(process_.pid) + ": umask"};
    return {};
  }

 private:
  FrozenProcess& process_;
  std::optional<InjectionScope> scope_;
  uint32_t before_;
  bool isChanged_ = false;
};

struct Member {
  FrozenProcess* process;
  FrozenTask* task;
  bool isMarked = true;  // shows what leaders were marked with
  uint32_t number = 0;   // of the leader whose marks it shows
  uint32_t plain = 0;    // a reading
  [[nodiscard]] pid_t tid() const { return task->tracee.tid(); }
  [[nodiscard]] Result<uint32_t> read() const {
    const auto status = readTaskStatus(process->pid, tid());
    if (!status) return status.error();
    return status.value().umask & kMask;
  }
};

/** Marks every leader with nine bits of its number and then with their complement: who does not follow shares with none of them. */
Status readNumbers(std::deque<Marked>& leaders, std::vector<Member>& members) {
  for (unsigned shift = 0; shift == 0 || leaders.size() >> shift != 0; shift += kBits) {
    for (const uint32_t flip : {0u, kMask}) {
      for (size_t index = 0; index < leaders.size(); ++index) BLCR_TRY(leaders[index].set(((uint32_t(index) >> shift) & kMask) ^ flip));
      for (Member& member : members) {
        const auto read = member.read();
        if (!read) return read.error();
        if (flip == 0) member.number |= read.value() << shift, member.plain = read.value();
        if (flip != 0 && (member.plain ^ kMask) != read.value()) member.isMarked = false;
      }
    }
  }
  return {};
}

/** Threads with directories of their own, which are few: each with those after it. */
Status compareOwn(std::vector<Member>& members, std::map<pid_t, pid_t>& holders) {
  for (auto one = members.begin(); one != members.end(); ++one) {
    if (one->isMarked || !holders.try_emplace(one->tid(), one->tid()).second) continue;
    const auto before = one->read();
    if (!before) return before.error();
    Marked mark(*one->process, before.value());
    BLCR_TRY(mark.enter(*one->task));
    for (const uint32_t value : {0u, kMask}) {
      BLCR_TRY(mark.set(value));
      for (auto other = one + 1; other != members.end(); ++other) {
        const auto read = other->read();
        if (!read) return read.error();
        if (value == 0) other->plain = read.value();
        if (value != 0 && !other->isMarked && other->plain == 0 && read.value() == kMask) holders[other->tid()] = one->tid();
      }
    }
  }
  return {};
}

}  // namespace

Status findDirectories(std::deque<FrozenProcess>& processes, std::map<pid_t, pid_t>& holders) {
  std::deque<Marked> leaders;
  std::vector<Member> members;
  for (FrozenProcess& process : processes) {
    if (process.zombie) continue;
    const auto status = readStatus(process.speaker());
    if (!status) return status.error();
    leaders.emplace_back(process, status.value().umask & kMask);
    for (FrozenTask& task : process.tasks) members.push_back({&process, &task});
  }
  if (members.size() < 2) return {};
  BLCR_TRY(readNumbers(leaders, members));
  std::map<uint32_t, pid_t> first;  // by number
  for (Member& member : members) {
    if (member.number >= leaders.size()) member.isMarked = false;
    if (member.isMarked) holders[member.tid()] = first.try_emplace(member.number, member.tid()).first->second;
  }
  leaders.clear();
  return compareOwn(members, holders);
}

}  // namespace blcr
