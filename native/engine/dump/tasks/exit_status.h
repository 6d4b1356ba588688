// Exit statuses of zombies.
#pragma once

#include <deque>

#include "base/result.h"
#include "dump/frozen.h"
#include "image/model.h"

namespace blcr {

/** As strict as /proc is with the status, before it fails for want of a place for the answer. */
[[nodiscard]] bool mayLookAt(pid_t pid);

/**
 * /proc shows 0 for the status of a zombie that this user may not look at: one of a setuid program, or one that had more capabilities.
 * Its parent is asked, which may wait for it and leaves it as it is. After the footholds are taken; `image` has its processes in the order
 * of `processes`. kErrorNoSupport when the parent is not told either.
 */
[[nodiscard]] Status recordExitStatuses(std::deque<FrozenProcess>& processes, image::Image& image);

}  // namespace blcr
