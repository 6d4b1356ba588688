// Descriptor tables: what was inherited is put where the job had it, everything else is closed.
#pragma once

#include "restore/files/sources.h"
#include "restore/job.h"

namespace blcr {

/** Opens in every process what only it can open, at the numbers of its placeholders; when all processes exist. */
[[nodiscard]] Status openInside(Job& job, const Sources& sources);

/** Adds the recorded entries to every epoll, inside a process that has it; before placeDescriptors of any process. */
[[nodiscard]] Status fillEpolls(Job& job, const Sources& sources);

/** Puts one process's descriptors in place and closes all others. Errors name process and descriptor. */
[[nodiscard]] Status placeDescriptors(const Job& job, Building& building, const Sources& sources);

}  // namespace blcr
