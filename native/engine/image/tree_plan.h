// The order in which a tree of processes can be made again, shared by the checkpoint (is there one?) and the restart (which carries it
// out).
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "image/model.h"

namespace blcr::image {

/** One step; members are named by their place in TreePlan::members, whoever restarts the job by kNone. */
struct TreeStep {
  enum class Kind : uint8_t {
    kFork,  // `other` makes `member`; when it is to move later, by a child of its own between them (a go-between)
    kLead,  // `member` begins a session
    kMove,  // the go-between of `member` ends, which leaves it to its parent `other`, an ancestor of its forker
  };
  Kind kind = Kind::kFork;
  uint32_t member = 0;
  uint32_t other = kNone;
  bool moves = false;  // kFork: there is a kMove later, after all that descends from `member` was made
};

struct TreePlan {
  struct Member {
    int32_t pid = 0;
    uint32_t process = kNone;  // Image::processes; none: stands in for the leader of a session, that is gone
    uint32_t forker = kNone;
  };
  std::vector<Member> members;
  std::vector<TreeStep> steps;
};

/**
 * `outerSession` is a session that whoever restarts the job is in instead of its leader, 0 = none: as for a session that is not known.
 * ENOTSUP names a process that cannot get both its parent and its session.
 */
[[nodiscard]] Result<TreePlan> planTree(const std::vector<Process>& processes, int32_t outerSession);

}  // namespace blcr::image
