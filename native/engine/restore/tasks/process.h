// What belongs to a process as a whole.
#pragma once

#include "restore/files/sources.h"
#include "restore/job.h"

namespace blcr {

/** Signal actions, working directory, umask and attributes; before threads exist (all of it is shared by them). */
[[nodiscard]] Status dressProcess(Job& job, Building& building, const Sources& sources);

/** Queued signals, put back by the tasks themselves, which alone may send any siginfo. */
[[nodiscard]] Status queueSignals(Job& job, Building& building);

/** Resource limits, lowered to what this node allows (logged). */
void applyLimits(Job& job, Building& building);

}  // namespace blcr
