// What of areas and page tables would have made the stop longer, looked at afterwards.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "image/model.h"

namespace blcr {

/**
 * Completes the recorded memory from where its pages are read: the copy of the process, or the process itself, still stopped. Guard
 * regions, and flags that a copy has as the process had them. kErrorTemporary when the copy lacks memory because of an madvise that the
 * process made between the first look at its areas and its stop.
 */
[[nodiscard]] Status confirmMemory(pid_t source, image::Process& into);

}  // namespace blcr
