// Who the restored tasks are.
#pragma once

#include "restore/job.h"

namespace blcr {

/** Gives every task of a process its users, groups and capabilities, as far as the namespace has them: nothing is ever gained. */
[[nodiscard]] Status applyCredentials(Job& job, Building& building);

}  // namespace blcr
