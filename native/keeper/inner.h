// The keeper inside a restarted job's namespaces.
#pragma once

#include "restart_request.h"

namespace blcr {

/**
 * Runs as pid 1 of the new pid namespace: restores the job, tells the outer keeper how that went (Restored), looks after the job as any
 * keeper does, tells how its root ended (Ended), and exits, which ends whatever is left in the namespace. It dies with the outer keeper.
 */
[[noreturn]] void runInner(RestorePlan& plan, IncomingRestart& incoming, Log& log, UniqueFd outer);

}  // namespace blcr
