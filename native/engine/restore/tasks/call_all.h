// Many system calls of one stub for the price of a few.
#pragma once

#include <vector>

#include "arch/x86_64/batch.h"
#include "base/result.h"
#include "restore/tasks/stub.h"

namespace blcr {

/**
 * Makes `calls` in `stub`, in order, and fills in their results; a failed call does not end it. Few are injected one by one; for many, and
 * where executable memory can be had, a loop makes them in a mapping of its own, which is gone afterwards. The stub's memory must be built:
 * the kernel chooses a place that nothing of the job's has.
 */
[[nodiscard]] Status callAll(Stub& stub, std::vector<RemoteCall>& calls);

}  // namespace blcr
