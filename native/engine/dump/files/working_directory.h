// Where processes, and threads that have gone their own way, work.
#pragma once

#include "base/result.h"
#include "dump/tasks/record_process.h"
#include "dump/tasks/sharing.h"

namespace blcr {

/** Of every process, and of every thread that shares it with nobody; one that was removed keeps the end of its name by which the kernel
 * says so. One that cannot be reached by its name, or is shared otherwise, is refused. */
[[nodiscard]] Status recordWorkingDirectories(const Sharing& sharing, image::Image& image);

}  // namespace blcr
