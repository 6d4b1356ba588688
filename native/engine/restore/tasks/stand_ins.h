// Processes that are there only while a job is being built: for leaders that are gone, and between a process and its maker.
#pragma once

#include <list>
#include <unordered_set>

#include "restore/job.h"
#include "restore/tasks/spawn.h"

namespace blcr {

class StandIns {
 public:
  explicit StandIns(Job& job);

  /** A child of `parent` (nullptr: of the coordinator); nobody is told of its end. */
  [[nodiscard]] Result<Stub*> make(Stub* parent, int32_t number);

  /** Ends one, and has it reaped. Its children must be gone, or be meant to go to a subreaper above. */
  [[nodiscard]] Status end(Stub* one);

  /** Ends all, the youngest first. */
  [[nodiscard]] Status endAll();

  /** A number that no task of the job has. */
  [[nodiscard]] int32_t unusedNumber();

 private:
  struct StandIn {
    Stub stub;
    Stub* parent;
  };
  [[nodiscard]] Status end(StandIn& one);

  Job& job_;
  std::list<StandIn> all_;
  std::unordered_set<int32_t> taken_;
  int32_t lastUnused_ = 300;  // RESERVED_PIDS: what the kernel, too, starts from after a wrap
};

}  // namespace blcr
