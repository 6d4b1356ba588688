// Checkpoint requests of one job: one at a time, cancelled when their requester goes away.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "borrowed_stdio.h"
#include "capture.h"
#include "cooperation.h"
#include "dump/dump.h"
#include "loop.h"
#include "protocol/message.h"
#include "store_requests.h"

namespace blcr {

/** What a request needs to know of the keeper's job. The keeper's own 0, 1 and 2 are the job's; a one-shot keeper borrows the target's. */
struct JobFacts {
  pid_t keeper = 0;         // parent of the job's orphans, 0 for a one-shot keeper
  bool restarted = false;   // in namespaces that were made for it
  pid_t root = 0;           // the keeper's direct child, 0 for a one-shot keeper
  std::string cpuBaseline;  // of the job; empty = none
};

class Requests {
 public:
  /** `onExit` gets the ends of processes that a dump has reaped. */
  Requests(Loop& loop, JobFacts facts, std::function<void(pid_t, int)> onExit);
  ~Requests();
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;

  /** A requester whose credentials have been checked. */
  void add(UniqueFd connection);
  /** True when the change of state belongs to the pending dump. */
  bool onChild(pid_t pid, int status);
  /** Gives up the pending request, waiting for its threads to end; its requester gets `code` and `reason`. */
  void abandon(int code, const char* reason);
  /** No requester is left. */
  [[nodiscard]] bool idle() const { return requesters_.empty(); }
  /** Those for a checkpoint into the job's store. */
  [[nodiscard]] StoreRequests& store() { return store_; }
  /** Called whenever a requester has gone. */
  void onGone(std::function<void()> handler) { gone_ = std::move(handler); }

 private:
  struct Requester {
    UniqueFd connection;
    uint64_t handleInode = 0, keeperInode = 0;
    bool served = false;
  };
  /** kAsking: clients run their callbacks · kDumping · kReturning: clients return from their callbacks, the outcome is known. */
  enum class Stage { kAsking, kDumping, kReturning };
  struct Pending {
    Requester* requester = nullptr;  // nullptr: gone meanwhile
    Stage stage = Stage::kAsking;
    Log log;
    Capture capture;
    DumpRequest described;
    uint32_t flags = 0;  // CR_CHKPT_*
    std::unique_ptr<Cooperation> cooperation;
    std::unique_ptr<Dump> dump;
    std::optional<Result<DumpResult>> outcome;
    Loop::TimerId timer = 0;
    int64_t startNs = 0;
    int abandonCode = 0;  // why it was cancelled
    const char* abandonReason = "";
  };

  void onReadable(Requester& requester);
  void drop(Requester& requester);
  void handOver(Requester& requester, uint64_t handleInode);
  void begin(Requester& requester, const wire::CheckpointRequest& request, Message& message);
  [[nodiscard]] Status prepare(const wire::CheckpointRequest& request, Message& message);
  [[nodiscard]] Status startPatiently(const DumpRequest& request);
  [[nodiscard]] Result<DumpRequest> describe(const wire::CheckpointRequest& request);
  [[nodiscard]] Status ask(const wire::CheckpointRequest& request);
  [[nodiscard]] int forward(uint32_t scope, pid_t target);
  void advance();
  [[nodiscard]] Result<bool> allReady();
  void startDump();
  void giveUp(int code, const char* reason);
  void complete();
  void conclude(Result<DumpResult> outcome);
  void answer();
  void refuse(const Requester& requester, int code, const char* reason);

  Loop& loop_;
  JobFacts facts_;
  std::function<void(pid_t, int)> onExit_;
  std::function<void()> gone_;
  std::list<Requester> requesters_;
  StoreRequests store_;
  std::unique_ptr<Pending> pending_;
  UniqueFd context_;
  BorrowedStdio stdio_;
};

}  // namespace blcr
