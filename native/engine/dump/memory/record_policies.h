// Memory policies of single areas (mbind).
#pragma once

#include "dump/foothold.h"
#include "image/model.h"

namespace blcr {

/** Asks the process itself, area by area: what /proc tells of it (numa_maps) costs a walk over all pages. */
[[nodiscard]] Status recordPolicies(Foothold& foothold, image::AddressSpace& into);

}  // namespace blcr
