// Process groups.
#pragma once

#include "restore/tasks/stand_ins.h"

namespace blcr {

/** Puts every process into its group. Of groups whose leader is gone, or has left, a stand-in keeps the number until all are there. */
[[nodiscard]] Status settleGroups(Job& job, StandIns& standIns);

}  // namespace blcr
