#include "dump/files/system_v.h"

#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/codes.h"
#include "dump/files/semaphore_undo.h"

namespace blcr {
namespace {

/** Clocks of different kinds are compared: leave them two seconds. */
constexpr int64_t kSlack = 2;

/** The date of the machine's start by its present clock, which moves when somebody sets that. */
int64_t bootDate() { return (nowNs(CLOCK_REALTIME) - nowNs(CLOCK_BOOTTIME)) / 1000000000; }

/** As it was when the keeper, and with it the job, began: what the kernel dated before the clock was set has its times by this. */
const int64_t kBootDateAtStart = bootDate();

enum class User { kNobody, kJob, kOutsider, kEnded };

/** Tells whose the objects of the namespace are. */
class Owners {
 public:
  Owners(const std::deque<FrozenProcess>& processes, bool isolated) : isolated_(isolated) {
    for (const FrozenProcess& process : processes) {
      starts_[process.pid] = startOf(process.stat);
      for (const FrozenTask& task : process.tasks) addWaiter(task.regs);
    }
    for (const auto& [pid, start] : starts_) began_ = std::min(began_, start);
    struct stat info{};
    if (!processes.empty() && ::stat(("/proc/" + std::to_string(processes.front().pid)).c_str(), &info) == 0) uid_ = info.st_uid;
  }

  /** A task of the job is in a call that waits for the object: nothing else may tell of its use yet. */
  [[nodiscard]] bool isAwaited(IpcKind kind, int id) const { return awaited_.contains({kind, id}); }

  /** The keeper of a restarted job looks at what is the job's alone. */
  [[nodiscard]] bool isolated() const { return isolated_; }

  /**
   * Not touched since the job began, which the line in the table tells, so that a host full of others' objects costs the stop one line
   * each. Nothing is lost by not asking: every successful semop dates its set, and so do msgsnd, msgrcv, shmat and shmdt; whoever of the
   * job was the last user, or owes a set something, was there no earlier than it began. whoWas() would not say kJob, nor mayBeOurs() yes.
   * No task of the job can change that after the table was read, as all are stopped: one that waited in semop has left the queue of its
   * set. Source: ipc/sem.c, set_semotime().
   */
  [[nodiscard]] bool isOlderThanJob(const IpcObject& object) const { return !isolated_ && isBeforeJob(object.lastTime()); }

  [[nodiscard]] bool isBeforeJob(int64_t time) const { return time + kSlack < began_; }

  /** Numbers of processes are used again: what matters is who had it at `time`. */
  [[nodiscard]] User whoWas(pid_t pid, int64_t time) {
    if (pid <= 0) return User::kNobody;
    if (const auto own = starts_.find(pid); own != starts_.end()) return time + kSlack >= own->second ? User::kJob : User::kEnded;
    return startOfOutsider(pid) <= time + kSlack ? User::kOutsider : User::kEnded;
  }

  /** Made or used since the job began, by somebody of its user who has ended. */
  [[nodiscard]] bool mayBeOurs(const IpcObject& object) const { return object.creatorUid == uid_ && !isBeforeJob(object.lastTime()); }

 private:
  void addWaiter(const user_regs_struct& regs) {
    const long call = long(regs.orig_rax);
    if (call == SYS_semop || call == SYS_semtimedop) awaited_.insert({IpcKind::kSemaphores, int(regs.rdi)});
    if (call == SYS_msgsnd || call == SYS_msgrcv) awaited_.insert({IpcKind::kQueue, int(regs.rdi)});
  }
  /** Read once: one process outside often is the last user of many. INT64_MAX when it has ended. */
  int64_t startOfOutsider(pid_t pid) {
    const auto [known, isNew] = outsiders_.try_emplace(pid, INT64_MAX);
    if (!isNew) return known->second;
    if (const auto stat = readStat(pid)) known->second = startOf(stat.value());
    return known->second;
  }
  [[nodiscard]] int64_t startOf(const ProcStat& stat) const {
    static const auto kTicks = uint64_t(::sysconf(_SC_CLK_TCK));
    return booted_ + int64_t(stat.startTime / kTicks);
  }
  bool isolated_;
  /** The earlier one: an object too many in a checkpoint harms nobody, one that is missing is missed. */
  const int64_t booted_ = std::min(kBootDateAtStart, bootDate());
  int64_t began_ = INT64_MAX;
  uid_t uid_ = uid_t(-1);
  std::map<pid_t, int64_t> starts_, outsiders_;
  std::set<std::pair<IpcKind, int>> awaited_;
};

Error shared(IpcKind kind, int id) {
  return Error{kErrorNoSupport, nameOf(kind, id) + " is used by the job and by a process outside the job"};
}

/**
 * Whether a segment is attached more than `own` times. The checkpoint of another job may be looking at what could be its own as well, which
 * takes no longer than a stop: better a moment more in ours than a job that is refused.
 */
bool isAttachedElsewhere(const IpcObject& segment, size_t own) {
  constexpr int64_t kPatienceNs = 250'000'000;
  const int64_t deadline = nowNs() + kPatienceNs;
  for (uint64_t attached = segment.attached; attached > own; sleepUs(500)) {
    shmid_ds info{};
    if (nowNs() > deadline || ::shmctl(segment.id, IPC_STAT, &info) != 0) return true;
    attached = info.shm_nattch;
  }
  return false;
}

/** What only may be the job's can be removed by others while we look. */
bool stillExists(IpcKind kind, int id) {
  union {
    shmid_ds segment;
    semid_ds set;
    msqid_ds queue;
  } info;
  const int done = kind == IpcKind::kSegment      ? ::shmctl(id, IPC_STAT, &info.segment)
                   : kind == IpcKind::kSemaphores ? ::semctl(id, 0, IPC_STAT, &info.set)
                                                  : ::msgctl(id, IPC_STAT, &info.queue);
  return done >= 0 || (errno != EINVAL && errno != EIDRM);
}

/** What the last users of an object mean. */
Result<bool> isOurs(const Owners& owners, IpcKind kind, const IpcObject& object, const std::vector<User>& users) {
  if (owners.isolated()) return true;
  const auto has = [&users](User user) { return std::find(users.begin(), users.end(), user) != users.end(); };
  if (has(User::kJob) && has(User::kOutsider)) return shared(kind, object.id);
  return has(User::kJob) || (!has(User::kOutsider) && owners.mayBeOurs(object));
}

Result<bool> ownsSemaphores(Owners& owners, const IpcObject& object) {
  const bool isAwaited = owners.isAwaited(IpcKind::kSemaphores, object.id);
  if (owners.isOlderThanJob(object) && !isAwaited) return false;
  std::vector<User> users;
  if (isAwaited) users.push_back(User::kJob);
  for (int number = 0; uint64_t(number) < object.size && !owners.isolated(); ++number) {
    const int last = ::semctl(object.id, number, GETPID);
    if (last < 0 && isAwaited && errno == EACCES) return shared(IpcKind::kSemaphores, object.id);
    if (last < 0) return false;  // another user's, or gone
    users.push_back(owners.whoWas(last, object.lastTime()));
  }
  return isOurs(owners, IpcKind::kSemaphores, object, users);
}

/**
 * Others were the last who used it, which leaves one trace of what the job did: what the set gets back at the end of a process. Whoever
 * owes that has done a semop since the job began.
 */
Status checkNothingOwed(const Owners& owners, const IpcObject& object, std::deque<FrozenProcess>& processes) {
  if (owners.isolated() || object.firstTime == 0 || owners.isBeforeJob(object.firstTime)) return {};
  image::SemaphoreSet set;
  set.name.id = object.id;
  set.values.resize(object.size);
  if (::semctl(object.id, 0, GETALL, set.values.data()) < 0) return {};  // another user's, or gone
  const auto owes = owesSemaphores(processes, set);
  if (owes.ok()) return owes.value() ? Status(shared(IpcKind::kSemaphores, object.id)) : Status();
  return stillExists(IpcKind::kSemaphores, object.id) ? Status(owes.error()) : Status();
}

Result<bool> ownsQueue(Owners& owners, const IpcObject& object) {
  const bool isAwaited = owners.isAwaited(IpcKind::kQueue, object.id);
  if (owners.isOlderThanJob(object) && !isAwaited) return false;
  return isOurs(owners, IpcKind::kQueue, object,
                {owners.whoWas(object.first, object.firstTime), owners.whoWas(object.second, object.secondTime),
                 isAwaited ? User::kJob : User::kNobody});
}

/** One that nobody of the job has attached; of the last user only the job's are looked at, because an earlier checkpoint was one. */
Result<bool> ownsSegment(Owners& owners, const IpcObject& object) {
  if (owners.isOlderThanJob(object)) return false;
  // OpenSSL's mark that the system's random numbers are seeded, which it makes before Linux 4.8 and does without where it is missing.
  if (object.size <= 1 && object.attached == 0) return false;
  const User maker = owners.whoWas(object.first, object.changed), last = owners.whoWas(object.second, object.lastTime());
  if (object.attached != 0 && !owners.isolated()) {
    if (maker == User::kJob) {
      if (isAttachedElsewhere(object, 0)) return shared(IpcKind::kSegment, object.id);
      return true;
    }
    // Perhaps only by the checkpoint of another job, for the same reason as here. One that is removed goes with those who have it.
    return (object.mode & SHM_DEST) == 0 && maker == User::kEnded && owners.mayBeOurs(object);
  }
  return isOurs(owners, IpcKind::kSegment, object, {last == User::kJob ? User::kJob : maker});
}

/** Whether it was recorded: one that has gone meanwhile is nobody's, whatever went wrong with it. */
Result<bool> unlessGone(const Status& recorded, IpcKind kind, int id) {
  if (recorded.ok()) return true;
  return stillExists(kind, id) ? Result<bool>(recorded.error()) : false;
}

Status recordSegments(Owners& owners, Recording& recording) {
  std::map<int, uint32_t> attached = recording.attachedSegments;  // by the job
  for (const IpcObject& object : findIpcObjects(IpcKind::kSegment)) {
    const auto own = attached.find(object.id);
    if (own != attached.end()) {
      if (isAttachedElsewhere(object, recording.segments[own->second].views.size())) return shared(IpcKind::kSegment, object.id);
      BLCR_TRY(recordSegment(object, recording));
      attached.erase(own);
      continue;
    }
    auto ours = ownsSegment(owners, object);
    if (!ours) return ours.error();
    if (!*ours) continue;
    auto recorded = unlessGone(recordSegment(object, recording), IpcKind::kSegment, object.id);
    if (!recorded) return recorded.error();
  }
  if (attached.empty()) return {};
  return Error{kErrorNoSupport, nameOf(IpcKind::kSegment, attached.begin()->first) + " is attached, but nothing tells of it"};
}

}  // namespace

Status recordSystemV(std::deque<FrozenProcess>& processes, bool isolated, Recording& recording) {
  Owners owners(processes, isolated);
  BLCR_TRY(recordSegments(owners, recording));
  for (const IpcObject& object : findIpcObjects(IpcKind::kSemaphores)) {
    auto ours = ownsSemaphores(owners, object);
    if (!ours) return ours.error();
    if (!*ours) BLCR_TRY(checkNothingOwed(owners, object, processes));
    if (!*ours) continue;
    auto recorded = unlessGone(recordSemaphores(object, processes, recording), IpcKind::kSemaphores, object.id);
    if (!recorded) return recorded.error();
    if (!*recorded) recording.image.semaphores.pop_back();
  }
  for (const IpcObject& object : findIpcObjects(IpcKind::kQueue)) {
    auto ours = ownsQueue(owners, object);
    if (!ours) return ours.error();
    if (!*ours) continue;
    auto recorded = unlessGone(recordQueue(object, recording), IpcKind::kQueue, object.id);
    if (!recorded) return recorded.error();
    if (!*recorded) recording.image.queues.pop_back();
  }
  return {};
}

}  // namespace blcr
