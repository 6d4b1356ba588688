// The keeper inside a restarted job's namespaces.
#pragma once

#include "restart_request.h"
#include "terminal.h"

namespace blcr {

/**
 * Runs in the new namespaces, as the first of their processes or a child of it: restores the job, tells the outer keeper how that went
 * (Restored), looks after the job as any keeper does, tells how its root ended (Ended), and exits, which ends whatever is left in the
 * namespace. It dies with the outer keeper. A job in the session of `terminal` gets it when the requester was in the `foreground`.
 */
[[noreturn]] void runInner(RestorePlan& plan, IncomingRestart& incoming, Log& log, UniqueFd outer, const Terminal& terminal,
                           bool foreground);

}  // namespace blcr
