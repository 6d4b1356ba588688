// Descriptor tables: what was inherited is put where the job had it, everything else is closed.
#pragma once

#include "restore/job.h"
#include "restore/sources.h"

namespace blcr {

/** Adds the recorded entries to every epoll, inside a process that has it; before placeDescriptors of any process. */
[[nodiscard]] Status fillEpolls(Job& job, const Sources& sources);

/** Puts one process's descriptors in place and closes all others. Errors name process and descriptor. */
[[nodiscard]] Status placeDescriptors(Job& job, Building& building, const Sources& sources);

}  // namespace blcr
