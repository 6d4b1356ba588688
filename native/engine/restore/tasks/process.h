// What belongs to a process as a whole.
#pragma once

#include "restore/files/sources.h"
#include "restore/job.h"

namespace blcr {

/** Signal actions, working directory, umask and attributes; before threads exist (all of it is shared by them). */
[[nodiscard]] Status dressProcess(Job& job, Building& building, const Sources& sources);

/** Queued signals, put back by the tasks themselves, which alone may send any siginfo. */
[[nodiscard]] Status queueSignals(Job& job, Building& building);

/** How much there may come to be, and how much of what comes with the context there may be: what it has already is no matter of limits. */
enum class LimitsOf { kGrowth, kContent };

/** Resource limits of that kind, lowered to what this node allows (logged). */
void applyLimits(Job& job, Building& building, LimitsOf what);

}  // namespace blcr
