// Main threads that had ended at the checkpoint: they are needed to make their processes, and then end again.
#pragma once

#include "restore/job.h"

namespace blcr {

[[nodiscard]] bool hasLostLeader(const Building& building);

/** The main thread ends as it did, without an instruction of the program, and is a zombie when this returns. No call can be made in its
 * name any more, nor may it be let go; the other threads are still to be. */
[[nodiscard]] Status loseLeader(Building& building);

/** The same for all of the job, but for those that have been stopped again (^Z) and have lost it by then. */
[[nodiscard]] Status loseLeaders(Job& job);

}  // namespace blcr
