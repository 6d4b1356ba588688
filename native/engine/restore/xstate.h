// Extended registers between kernels and processors of different extent.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "trace/tracee.h"

namespace blcr {

/** Offset plus size of the last of `components` in the standard XSAVE layout of this processor. Source: Intel SDM volume 1, 13.4; CPUID
 * 0xd. */
[[nodiscard]] uint32_t xstateExtent(uint64_t components);

/**
 * `saved` in the size that this kernel wants of `tracee`. Equal sizes are taken as they are; a larger one here is filled up when the
 * recorded components lie where they lie here; a smaller one is cut when what is cut off is unused. CR_EBADARCH otherwise.
 */
[[nodiscard]] Result<std::string> fittingXstate(const Tracee& tracee, const std::string& saved);

}  // namespace blcr
