// Calls that a restart makes, itself and in the name of the processes that it makes, and that a filter of the node may punish.
#pragma once

#include "base/result.h"

namespace blcr {

/** kErrorNoSupport naming the first call of every restart for which a seccomp filter would kill the keeper or a process of the job. */
[[nodiscard]] Status refuseDeadlyRestart();

/**
 * The `error` of a restart on whose way something has died. Where a filter kills for a call that restarts of some jobs make, it says so, as
 * kErrorNoSupport: which calls a job needs is only known when they are made.
 */
[[nodiscard]] Error explainDeath(const Error& error);

}  // namespace blcr
