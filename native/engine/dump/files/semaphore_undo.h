// What semaphores get back when a process ends (SEM_UNDO).
#pragma once

#include <deque>

#include "base/result.h"
#include "dump/frozen.h"
#include "image/model.h"

namespace blcr {

/**
 * Finds the adjustments that the processes owe to a set whose values are known. No call tells them, but an operation that would take one
 * out of its range is refused with ERANGE before anything happens, and one that would wait with EAGAIN: of operations that end in a sure
 * EAGAIN, made in the process's name, the outcome tells on which side of a limit the adjustment lies, and nothing changes. kErrorNoSupport
 * when tasks do not share adjustments as processes and threads do. `operated`: there has been a semop on the set; without one nobody owes
 * it anything and nobody is asked.
 */
[[nodiscard]] Status recordSemaphoreUndo(std::deque<FrozenProcess>& processes, image::SemaphoreSet& set, bool operated);

/** Whether any process owes anything to a set of about these values, which others may be changing meanwhile. Asked in the same manner. */
[[nodiscard]] Result<bool> owesSemaphores(std::deque<FrozenProcess>& processes, const image::SemaphoreSet& set);

}  // namespace blcr
