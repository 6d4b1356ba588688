// Checkpoint of running processes: freeze, record, let go, stream.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"

namespace blcr {

enum class Scope : uint32_t { kProcess = 0, kGroup = 1, kSession = 2, kTree = 3 };
enum class Snapshot : uint32_t { kAuto = 0, kFork = 1, kPlain = 2 };
/** What happens to the target when the context is complete (always a plain stop unless kRun). */
enum class Afterwards : uint8_t { kRun, kStop, kKill, kTerminate };

/** What becomes of a connection whose other end is outside the job. */
enum class ConnectionPolicy : uint32_t {
  kRefuse = 0,  // the checkpoint fails and names it
  kClose = 1,   // the restarted program finds it reset by its peer
};

/** More processes for a dump, in the words of its target and scope. */
struct ScopedTarget {
  Scope scope = Scope::kTree;
  pid_t target = 0;
};

/** Which mapped files travel with the context, so that a node without them can restart it; bits. */
enum CarriedFiles : uint32_t { kCarryExecutable = 1u << 0, kCarryPrivate = 1u << 1, kCarryShared = 1u << 2 };

/** What becomes of a pipe whose other end is outside the job. */
enum class PipePolicy : uint32_t {
  kRefuse = 0,   // the checkpoint fails and names it
  kReplace = 1,  // whoever restarts puts a descriptor of their own in its place
};

struct DumpRequest {
  pid_t target = 0;
  Scope scope = Scope::kTree;
  std::vector<ScopedTarget> also;
  int outputFd = -1;  // borrowed
  Snapshot snapshot = Snapshot::kAuto;
  uint64_t memoryBudget = 0;  // bytes, 0 = work it out
  ConnectionPolicy tcp = ConnectionPolicy::kRefuse;
  ConnectionPolicy local = ConnectionPolicy::kRefuse;  // AF_UNIX
  PipePolicy pipes = PipePolicy::kRefuse;              // those with an end outside, but for the launcher's stdio
  int signal = 0;  // delivered to every dumped process once the context is complete; SIGKILL, SIGTERM, SIGSTOP imply a plain stop
  bool checksum = true;
  bool sync = false;                  // success is told when the context is on disk
  uint32_t carry = 0;                 // CarriedFiles
  std::string cpuBaseline;            // what the job was confined to at its start: "x86-64-v2", …; empty = nothing
  pid_t keeper = 0;                   // parent of orphans: its other children belong to the tree when the root is dumped; 0 = none
  bool isolated = false;              // the job is in namespaces of its own, which a restart has made: their System V objects are its own
  pid_t jobRoot = 0;                  // the keeper's own direct child, or 0; its parent-death signal is the keeper's doing: recorded as 0
  std::vector<uint64_t> deadSockets;  // inodes of sockets in the job that lead to the keeper (handles of requesters inside the job):
                                      // recorded as SOCK_SEQPACKET sockets whose other end is closed, queues empty
  std::string keeperName;          // the sockaddr at which requesters of the job connect to the keeper: the same holds for their sockets,
                                   // should the keeper not have heard of them yet
  int stdioFds[3] = {0, 1, 2};     // the launcher's stdio: descriptions equal to these (kcmp) are recorded as kInherited
  std::vector<pid_t> omit;         // never dumped, nor what is below them (the keeper itself, requester helpers)
  std::vector<pid_t> leftOut;      // not dumped, but what is below them is
  std::vector<pid_t> cooperating;  // recorded as such (image::Process::cooperates); they get `signal` from whoever asked them, later
  /** Called for each process whose end the dump took with waitpid (any wait, start and finish included): nobody else can reap it any more,
   * and when it is jobRoot its status is the keeper's exit status. */
  std::function<void(pid_t pid, int status)> onExit;
  std::function<Status()> insideStop;  // runs while everything is frozen (file capture); a failure fails the dump, the job runs on
};

struct DumpResult {
  Snapshot snapshot = Snapshot::kPlain;
  uint32_t processes = 0, threads = 0;
  uint64_t stopUs = 0, captureUs = 0, totalUs = 0, pages = 0, bytes = 0;
};

/**
 * One checkpoint as a state machine driven by the keeper's event loop: start() freezes, records, and (fork) resumes the job, all
 * synchronously and short; then a thread streams; when pollFd() turns readable, finish() ends the stop or the snapshots and gives the
 * result. All ptrace and wait calls happen in the thread that calls start/finish/onChild; the streaming thread only copies memory.
 * Destruction at any point leaves the job running as it was; it waits until the kernel has taken the snapshots' memory back (30 ms a GiB).
 */
class Dump {
 public:
  virtual ~Dump() = default;
  [[nodiscard]] static std::unique_ptr<Dump> create(DumpRequest request, Log& log);
  [[nodiscard]] virtual Status start() = 0;
  [[nodiscard]] virtual int pollFd() const = 0;
  /** While streaming: a wait status of any child or tracee seen by the loop. True when it belonged to this dump (a snapshot or a frozen
   * task) and needs no further care. */
  virtual bool onChild(pid_t tid, int status) = 0;
  /** Gives up: the streaming thread ends soon, pollFd() turns readable, finish() returns ECANCELED. */
  virtual void cancel() = 0;
  [[nodiscard]] virtual Result<DumpResult> finish() = 0;
};

}  // namespace blcr
