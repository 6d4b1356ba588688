#include "dump/dump.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/clock.h"
#include "base/codes.h"
#include "base/features.h"
#include "base/thread.h"
#include "dump/files/record_files.h"
#include "dump/files/system_v.h"
#include "dump/frozen.h"
#include "dump/host.h"
#include "dump/injection_point.h"
#include "dump/left_behind.h"
#include "dump/memory/budget.h"
#include "dump/memory/carry_files.h"
#include "dump/memory/copy_sender.h"
#include "dump/memory/memory_watch.h"
#include "dump/memory/record_memory.h"
#include "dump/memory/record_policies.h"
#include "dump/memory/ring_views.h"
#include "dump/memory/shared_pages.h"
#include "dump/memory/snapshot.h"
#include "dump/required_calls.h"
#include "dump/streamer.h"
#include "dump/tasks/exit_status.h"
#include "dump/tasks/leave_vdso.h"
#include "dump/tasks/lost_leader.h"
#include "dump/tasks/record_process.h"
#include "dump/tasks/rights.h"
#include "dump/tasks/told_stops.h"
#include "image/tree_plan.h"
#include "image/validate.h"

namespace blcr {
namespace {

bool endsOrStops(int signal) { return signal == SIGKILL || signal == SIGTERM || signal == SIGSTOP; }

/** Room for the job's own growth, and for the time that it takes to notice a shortage. */
constexpr uint64_t kReserve = 64ull << 20;

bool isReadable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1;
}

class Checkpoint final : public Dump {
 public:
  Checkpoint(DumpRequest request, Log& log) : request_(std::move(request)), log_(log), frozen_(request_) {}

  ~Checkpoint() override {
    if (thread_.joinable()) {
      cancel();
      thread_.join();
    }
    watch_.reset();
    frozen_.release();
    removeSnapshots(snapshots_, request_.onExit);
  }

  Status start() override {
    startNs_ = nowNs();
    Status status = prepare();
    if (status) status = stopAndRecord();
    if (status) status = thread_.start([this] { stream(); });
    if (!status) {
      watch_.reset();
      endStop(0);
      removeSnapshots(snapshots_, request_.onExit);
      log_.line(status.error().detail);
      return status;
    }
    return {};
  }

  int pollFd() const override { return done_.get(); }

  bool onChild(pid_t tid, int status) override {
    for (SnapshotProcess& snapshot : snapshots_) {
      if (snapshot.pid != tid) continue;
      snapshot.dead = snapshot.dead || !WIFSTOPPED(status);
      if (!snapshot.dead) passStop(tid, WSTOPSIG(status));
      return true;
    }
    if (watch_ && watch_->isHolding() && WIFSTOPPED(status)) return true;
    return frozen_.onChild(tid, status);
  }

  void cancel() override {
    const uint64_t one = 1;
    static_cast<void>(!::write(cancel_.get(), &one, sizeof one));
  }

  Result<DumpResult> finish() override {
    if (!thread_.joinable()) return Error{EINVAL, "the checkpoint was not started"};
    thread_.join();
    if (watch_) result_.stopUs += watch_->stop();
    watch_.reset();
    const bool good = outcome_ && outcome_->ok();
    if (result_.snapshot == Snapshot::kFork) {
      endSnapshots(snapshots_);
      if (good && request_.signal != 0) {
        for (const image::Process& process : recording_.image.processes) {
          const bool later = isCooperating(request_, process.pid);
          if (process.state == image::ProcessState::kAlive && !later) ::kill(process.pid, request_.signal);
        }
      }
    } else {
      endStop(good ? request_.signal : 0);
    }
    result_.totalUs = microsecondsSince(startNs_);
    if (!good) {
      log_.line(outcome_->error().detail);
      return outcome_->error();
    }
    result_.pages = outcome_->value().pages;
    result_.bytes = outcome_->value().bytes;
    return result_;
  }

 private:
  /** Everything that need not happen inside the stop. */
  Status prepare() {
    BLCR_TRY(refuseDeadlyFilters());
    const auto own = readStatus(::getpid());
    if (!own) return own.error();
    done_.reset(::eventfd(0, EFD_CLOEXEC));
    cancel_.reset(::eventfd(0, EFD_CLOEXEC));
    if (!done_ || !cancel_) return systemError("eventfd");
    auto members = scopeMembers(request_);
    if (!members) return members.error();
    BLCR_TRY(refuseTracers(*members));
    for (const std::string& sentence : leftBehind(*members, request_)) log_.line(sentence);
    std::vector<pid_t> speakers;
    for (const pid_t pid : *members) {
      const pid_t speaker = speakers.emplace_back(speakerOf(pid));
      BLCR_TRY(refuseForeignNamespaces(pid, speaker));
      takeHint(pid, speaker, recording_);
    }
    recording_.paths.prepare(speakers);
    members_ = *std::move(members);
    frozen_.expectNoRings(ringless(recording_));
    traits_ = {own.value().seccomp, own.value().seccompFilters, request_.jobRoot, request_.keeper};
    anonymous_ = anonymousMemory(speakers);
    recordHost(request_.cpuBaseline, recording_.image.host);
    return {};
  }

  /** Whether the snapshot may cost what the write set of a busy job is likely to be; MemoryWatch deals with the rest. */
  [[nodiscard]] bool snapshotFits() const {
    if (request_.snapshot == Snapshot::kPlain || endsOrStops(request_.signal) || !featureAllowed("fork")) return false;
    if (request_.snapshot == Snapshot::kFork) return true;
    uint64_t room = availableMemory(request_.target);
    if (request_.memoryBudget != 0) room = std::min(room, request_.memoryBudget + kReserve);
    return room >= anonymous_ / 2 + kReserve;
  }

  Status stopAndRecord() {
    bool fork = snapshotFits();
    recording_.copiesInStop = !fork;
    BLCR_TRY(frozen_.freeze(std::move(members_)));
    RightsCheck rights(frozen_.processes(), traits_);
    for (FrozenProcess& process : frozen_.processes()) BLCR_TRY(look(process));
    keepParents();
    // It may have been killed between the request and the stop.
    const bool living =
        std::any_of(frozen_.processes().begin(), frozen_.processes().end(), [](const FrozenProcess& one) { return !one.zombie; });
    if (!living) return Error{ESRCH, "process " + std::to_string(request_.target) + " has ended"};
    for (FrozenProcess& process : frozen_.processes()) BLCR_TRY(recordOne(process, rights));
    BLCR_TRY(recordToldStops(frozen_.processes(), recording_.image));
    BLCR_TRY(recordExitStatuses(frozen_.processes(), recording_.image));
    BLCR_TRY(refuseTiedToThreads(frozen_.processes(), recording_.image));
    BLCR_TRY(recordSystemV(frozen_.processes(), request_.isolated, recording_));
    BLCR_TRY(recordFiles(frozen_.processes(), request_, recording_));
    BLCR_TRY(refuseNeedsOfLeader(frozen_.processes(), recording_.image));
    auto tree = image::planTree(recording_.image.processes, 0);
    if (!tree) return Error{kErrorNoSupport, tree.error().detail};
    recording_.tree = *std::move(tree);
    joinUnnamedViews(recording_);
    // After all timers were read: one that is late is what programs expect, one that is early is not.
    const FrozenProcess* target = frozen_.find(request_.target);
    recordClocks(target != nullptr ? target->speaker() : request_.target, recording_.image.host);
    BLCR_TRY(carryMappedFiles(recording_, request_.carry));
    finishImage();
    BLCR_TRY(capture());
    if (fork && recording_.mustStay) {
      fork = false;
      BLCR_TRY(correctAllFlags());
    }
    BLCR_TRY(findSegmentPages(frozen_, recording_, fork));
    if (fork && takeSnapshots()) {
      result_.snapshot = Snapshot::kFork;
      endStop(0);
      std::vector<pid_t> originals;
      for (const SnapshotProcess& snapshot : snapshots_) originals.push_back(snapshot.parent);
      const uint64_t budget = request_.memoryBudget == 0 ? UINT64_MAX : request_.memoryBudget;
      startSenders();
      watch_ = std::make_unique<MemoryWatch>(std::move(originals), WatchLimits{kReserve / 2, budget});
      BLCR_TRY(watch_->start());
    } else if (fork) {
      BLCR_TRY(correctAllFlags());
    }
    frozen_.leaveFootholds();
    return {};
  }

  /** The first look inside the stop: identity, areas, and where a system call can be injected. */
  Status look(FrozenProcess& process) {
    auto stat = readStat(process.pid);
    if (!stat) return stat.error();
    process.stat = *std::move(stat);
    if (process.zombie) return {};
    if (process.hasLostLeader()) BLCR_TRY(lookAtLostLeader(process));
    auto maps = readMaps(process.speaker());
    if (!maps) return maps.error();
    process.maps = *std::move(maps);
    if (frozen_.expectsNoRing(process.pid)) BLCR_TRY(refuseNewRing(process.pid, process.maps));
    auto instruction = injectionPoint(process.speaker(), process.maps);
    if (!instruction) return instruction.error();
    process.syscallInstruction = *instruction;
    return leaveVdso(process);
  }

  /** A zombie whose parent is not dumped has nobody left to ask for it. */
  void keepParents() {
    std::erase_if(frozen_.processes(),
                  [this](const FrozenProcess& process) { return process.zombie && frozen_.find(process.stat.ppid) == nullptr; });
  }

  Status recordOne(FrozenProcess& process, RightsCheck& rights) {
    image::Process& into = recording_.image.processes.emplace_back();
    ++result_.processes;
    if (process.zombie) {
      recordZombie(process, into);
    } else {
      BLCR_TRY(recordProcess(process, traits_, rights, into));
      BLCR_TRY(recordMemory(process, recording_, into));
      BLCR_TRY(recordPolicies(*process.foothold, into.memory));
      result_.threads += uint32_t(process.tasks.size());
      into.cooperates = isCooperating(request_, process.pid);
    }
    if (frozen_.find(into.ppid) == nullptr) into.ppid = 0;
    sources_.push_back({process.zombie ? 0 : process.speaker()});
    return {};
  }

  void finishImage() {
    image::Image& image = recording_.image;
    const FrozenProcess* top = frozen_.find(request_.target);
    if (top == nullptr) top = frozen_.find(image.processes.front().pid);
    // Of more than one scope together, the target's parent may be among the others: whoever restarts waits for a child of its own.
    for (const FrozenProcess* parent = top; parent != nullptr; parent = frozen_.find(parent->stat.ppid)) top = parent;
    image.root = top->pid;
    image.keeper = isNumberOfJob(image, top->stat.ppid) ? 0 : top->stat.ppid;
    for (size_t index = 0; index < image.processes.size(); ++index) {
      const ProcStat& stat = frozen_.processes()[index].stat;
      const bool outside = image.processes[index].terminal == image::kNone;
      if (outside && stat.terminal != 0 && stat.foregroundGroup > 0) image.foregroundGroup = stat.foregroundGroup;
    }
    for (const image::Process& process : image.processes) {
      if (!process.tasks.empty()) image.host.xstateSize = uint32_t(process.tasks.front().xstate.size());
    }
    addLostLeaders(image);
  }

  Status capture() {
    if (!request_.insideStop) return {};
    const int64_t start = nowNs();
    const Status status = request_.insideStop();
    result_.captureUs = microsecondsSince(start);
    return status;
  }

  /** Copies of all living processes; false when memory or a limit forbids one: the stop then lasts until everything is written. */
  bool takeSnapshots() {
    const Status taken = copyAll();
    if (taken) return true;
    log_.line("no snapshot, copying in the stop instead: " + taken.error().detail);
    discardSnapshots();
    return false;
  }

  /** The stop lasts after all. */
  Status correctAllFlags() {
    for (image::Process& process : recording_.image.processes)
      if (process.state == image::ProcessState::kAlive) BLCR_TRY(correctFlags(frozen_.find(process.pid)->speaker(), process));
    return {};
  }

  /** A copy that sends its pages is running: signals to the job's process group must not stop it, and a fault ends it. */
  static void passStop(pid_t copy, int signal) {
    const bool isFault = signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGSYS;
    if (isFault) ::kill(copy, SIGKILL);
    static_cast<void>(Tracee::adopt(copy).resume());
  }

  /** Lets large copies send their pages themselves, where the output allows it. */
  void startSenders() {
    constexpr uint64_t kWorthIt = 4 << 20;
    if (!featureAllowed("vmsplice")) return;
    for (PageSource& source : sources_) {
      const auto isIt = [&source](const SnapshotProcess& snapshot) { return snapshot.pid == source.pid; };
      const auto snapshot = std::find_if(snapshots_.begin(), snapshots_.end(), isIt);
      if (snapshot == snapshots_.end() || anonymousMemory({snapshot->pid}) < kWorthIt) continue;
      auto sender = CopySender::start(*snapshot, request_.outputFd);
      if (!sender) continue;
      source.sender = sender.value().get();
      senders_.push_back(*std::move(sender));
    }
  }

  /** All copies are made side by side, as processors allow, and the originals put back while the copies get ready. */
  Status copyAll() {
    std::deque<FrozenProcess>& processes = frozen_.processes();
    std::vector<size_t> copied;
    std::vector<Copying> copies;
    for (size_t index = 0; index < processes.size(); ++index) {
      if (processes[index].zombie) continue;
      auto copying = Copying::start(processes[index], recording_.image.processes[index]);
      if (!copying) return copying.error();
      copies.push_back(*std::move(copying));
      copied.push_back(index);
    }
    for (size_t i = 0; i < copied.size(); ++i) {
      auto snapshot = copies[i].finish();
      if (!snapshot) return snapshot.error();
      snapshots_.push_back(*snapshot);
      const FrozenProcess& original = processes[copied[i]];
      if (!isWhole(*snapshot, original)) {
        return Error{ENOTSUP, "process " + std::to_string(original.pid) + ": its copy lacks memory"};
      }
    }
    frozen_.leaveFootholds();
    for (size_t i = 0; i < copied.size(); ++i) {
      BLCR_TRY(completeSnapshot(snapshots_[i], recording_.image.processes[copied[i]]));
      sources_[copied[i]].pid = snapshots_[i].pid;
    }
    return {};
  }

  /** Inside the stop: the originals are ours already and must not be seized again, so they reap by injection here. */
  void discardSnapshots() {
    for (SnapshotProcess& snapshot : snapshots_) {
      FrozenProcess* process = frozen_.find(snapshot.parent);
      if (process != nullptr) discardSnapshot(snapshot, process->tasks.front().tracee);
    }
    snapshots_.clear();
    for (size_t index = 0; index < sources_.size(); ++index) {
      if (sources_[index].pid != 0) sources_[index].pid = frozen_.processes()[index].speaker();
    }
  }

  void endStop(int signal) {
    if (frozen_.frozenSince() == 0) return;
    frozen_.release(signal);
    result_.stopUs = uint64_t(frozen_.frozenUntil() - frozen_.frozenSince()) / 1000;
  }

  /** The thread: writes everything, then makes pollFd readable. */
  void stream() {
    StreamPlan plan{recording_, sources_, request_.outputFd, cancel_.get(), request_.checksum, [this] { return checkCancelled(); }};
    outcome_.emplace(streamContext(plan));
    if (outcome_->ok() && request_.sync && ::fsync(request_.outputFd) != 0 && errno != EINVAL)  // a pipe has no disk
      outcome_.emplace(systemError("writing the context to disk"));
    static_cast<void>(::eventfd_write(done_.get(), 1));
  }

  Status checkCancelled() { return isReadable(cancel_.get()) ? Status(Error{ECANCELED, "the checkpoint was given up"}) : Status(); }

  DumpRequest request_;
  Log& log_;
  KeeperTraits traits_;
  FrozenSet frozen_;
  Recording recording_;
  std::vector<PageSource> sources_;
  std::vector<SnapshotProcess> snapshots_;
  std::vector<std::unique_ptr<CopySender>> senders_;
  UniqueFd done_, cancel_;
  Thread thread_;
  std::unique_ptr<MemoryWatch> watch_;
  std::optional<Result<StreamOutcome>> outcome_;
  DumpResult result_;
  std::vector<pid_t> members_;  // as seen before the stop
  uint64_t anonymous_ = 0;
  int64_t startNs_ = 0;
};

}  // namespace

std::unique_ptr<Dump> Dump::create(DumpRequest request, Log& log) { return std::make_unique<Checkpoint>(std::move(request), log); }

}  // namespace blcr
