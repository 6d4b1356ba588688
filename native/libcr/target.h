// From a scope and a number to the keeper that looks after it.
#pragma once

#include <sys/types.h>

#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"
#include "libcr.h"

namespace blcr::libcr {

struct Target {
  pid_t member = 0;  // a process in the scope, in the caller's numbers
  pid_t number = 0;  // what the keeper is told: pid, pgid or sid in the innermost namespace; 0 = the keeper's job
  UniqueFd keeper;   // connection to the keeper, none when the target has no keeper
};

/**
 * Finds the target of a request and connects to the keeper up its parent chain.
 * ESRCH: no such process, group or session. EPERM: of another user, or a kernel thread. CR_ENOSUPPORT: pid 1.
 * CR_ETEMPFAIL: a keeper, or cr_restart, that does not listen yet.
 */
[[nodiscard]] Result<Target> findTarget(cr_scope_t scope, pid_t number);

}  // namespace blcr::libcr
