// The tree of processes: numbers, parents, sessions and process groups.
#pragma once

#include <functional>

#include "restore/files/sources.h"
#include "restore/job.h"

namespace blcr {

/** Told of every birth, when the one who forks still is as it has been laid out. */
using BeforeBirth = std::function<Status(Building& forker, Building& child)>;

/**
 * Makes one stub for every recorded process (zombies too), with its number, parent, session and group. EEXIST names a number that is taken,
 * EPERM says that this namespace does not let numbers be chosen, ENOTSUP names a process that no plan makes. On failure the caller
 * kills Job::spawned; Job::processes is one entry for each. Controlling terminals are those of `sources`.
 */
[[nodiscard]] Status growTree(Job& job, const Sources& sources, const BeforeBirth& beforeBirth);

/** Makes the stubs of zombies end as recorded; to be called when all process groups are settled and signal actions are still default. */
[[nodiscard]] Status buryZombies(Job& job);

}  // namespace blcr
