#include "dump/tasks/sharing.h"

#include <linux/kcmp.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "base/io.h"
#include "dump/files/lending.h"
#include "dump/remote_socket.h"
#include "dump/tasks/umask_marks.h"

namespace blcr {
namespace {

using Holders = std::map<pid_t, pid_t>;

constexpr int kAsked[] = {KCMP_FILES, KCMP_FS, KCMP_VM};

/** A socket that only those see who share the table of its process. */
class Witness {
 public:
  explicit Witness(FrozenProcess& process) : socket_(process) {}
  Status place() {
    BLCR_TRY(socket_.open());
    auto link = readLink(pathIn(socket_.process().pid, socket_.process().speaker()));
    if (!link) return link.error();
    link_ = *std::move(link);
    return {};
  }
  /** Its inode is the only one of this number. */
  [[nodiscard]] bool isSeenBy(pid_t pid, pid_t tid) const {
    const auto link = readLink(pathIn(pid, tid));
    return link && link.value() == link_;
  }

 private:
  [[nodiscard]] std::string pathIn(pid_t pid, pid_t tid) const {
    return "/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/fd/" + std::to_string(socket_.number());
  }
  RemoteSocket socket_;
  std::string link_;
};

/** Only threads are compared with the first of them, and first ones with each other. */
Status findTables(std::deque<FrozenProcess>& processes, Holders& holders) {
  for (size_t index = 0; index < processes.size(); ++index) {
    FrozenProcess& process = processes[index];
    const pid_t speaker = process.speaker();
    const bool isKnown = holders.contains(speaker);
    const bool isAlone = process.tasks.size() == 1 && (isKnown || index + 1 == processes.size());
    if (process.zombie) continue;
    holders.try_emplace(speaker, speaker);
    if (isAlone) continue;
    Witness witness(process);
    BLCR_TRY(witness.place());
    for (const FrozenTask& task : process.tasks) {
      const pid_t tid = task.tracee.tid();
      if (tid != speaker) holders[tid] = witness.isSeenBy(process.pid, tid) ? holders[speaker] : tid;
    }
    for (size_t later = index + 1; later < processes.size() && !isKnown; ++later) {
      const FrozenProcess& other = processes[later];
      if (!other.zombie && witness.isSeenBy(other.pid, other.speaker())) holders[other.speaker()] = speaker;
    }
  }
  return {};
}

/** Bytes that no other memory holds show at the same address of a process that has the same. */
Status findMemory(std::deque<FrozenProcess>& processes, Holders& holders) {
  using Token = std::array<unsigned char, 16>;
  for (size_t index = 0; index < processes.size(); ++index) {
    FrozenProcess& process = processes[index];
    const pid_t speaker = process.speaker();
    if (process.zombie || !holders.try_emplace(speaker, speaker).second || index + 1 == processes.size()) continue;
    Token token{};
    if (::getrandom(token.data(), token.size(), 0) != ssize_t(token.size())) return systemError("getrandom");
    const Scratch& scratch = process.foothold->scratch();
    BLCR_TRY(scratch.memory().write(scratch.data(), std::as_bytes(std::span(token))));
    for (size_t later = index + 1; later < processes.size(); ++later) {
      if (processes[later].zombie) continue;
      const auto seen = RemoteMemory(processes[later].speaker()).get<Token>(scratch.data());
      if (seen && seen.value() == token) holders[processes[later].speaker()] = speaker;
    }
  }
  return {};
}

}  // namespace

Result<Sharing> Sharing::find(std::deque<FrozenProcess>& processes) {
  Sharing sharing;
  sharing.asks_ = mayCompare();
  if (sharing.asks_) return sharing;
  BLCR_TRY(findTables(processes, sharing.holders_[kFiles]));
  BLCR_TRY(findDirectories(processes, sharing.holders_[kDirectory]));
  BLCR_TRY(findMemory(processes, sharing.holders_[kMemory]));
  return sharing;
}

long Sharing::compare(Kind kind, pid_t one, pid_t other) const {
  if (asks_) return ::syscall(SYS_kcmp, one, other, kAsked[kind], 0, 0);
  const auto holderOf = [this, kind](pid_t task) {
    const auto at = holders_[kind].find(task);
    return at == holders_[kind].end() ? task : at->second;
  };
  const pid_t left = holderOf(one), right = holderOf(other);
  if (left == right) return 0;
  return left < right ? 1 : 2;
}

}  // namespace blcr
