// Mappings of io_urings, at their old addresses.
#pragma once

#include "base/result.h"
#include "restore/files/sources.h"
#include "restore/job.h"

namespace blcr {

/**
 * Maps the rings of a process that has nothing but scratch page and kernel areas yet. From Linux 6.4 on the kernel takes no address for
 * such a mapping and chooses one itself: for a moment, every other address is taken.
 */
[[nodiscard]] Status mapRings(Building& building, const Sources& sources);

}  // namespace blcr
