// Calls that a checkpoint makes, itself and in the name of the job's tasks, and that a filter of the node may punish.
#pragma once

#include "base/result.h"

namespace blcr {

/**
 * kErrorNoSupport naming the first call for which a seccomp filter would kill the keeper, and with it the job, or a task of the job whose
 * filters are the same; or one whose refusal the job would notice. Without a filter, nothing is asked; else once for as many filters.
 * BLCR_DISABLE=filter_probe leaves it out.
 */
[[nodiscard]] Status refuseDeadlyFilters();

}  // namespace blcr
