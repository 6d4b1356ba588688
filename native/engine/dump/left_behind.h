// Processes of the job that a checkpoint of its tree does not reach.
#pragma once

#include <string>
#include <vector>

#include "dump/frozen.h"

namespace blcr {

/** How warnings in the log of a request that succeeded begin: a stable code (docs/errors.md). */
inline constexpr char kWarningLeftOut[] = "WARN_LEFT_OUT";

/**
 * Descendants of a job whose parent has ended belong to whoever adopted them, and no path leads from the root of the tree to them any more.
 * Found are those that a session or process group tells of: one that the tree has made, with a member that is none of `members` and whose
 * own parent is of another session. One sentence for each, beginning with that code. Costs one look at every process of the machine.
 */
[[nodiscard]] std::vector<std::string> leftBehind(const std::vector<pid_t>& members, const DumpRequest& request);

}  // namespace blcr
