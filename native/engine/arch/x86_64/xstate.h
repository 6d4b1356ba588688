// Extended registers (NT_X86_XSTATE) between kernels and processors of different extent.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace blcr {

/**
 * Where this processor and kernel keep the components of extended registers beyond x87 and SSE: three words for each, number, offset and
 * size. Makers and models differ. Source: Intel SDM volume 1, 13.4; CPUID 0xd.
 */
[[nodiscard]] std::vector<uint32_t> xstateLayout();

struct Xstate {
  const std::string& bytes;
  const std::vector<uint32_t>& layout;
};

/**
 * `saved` rearranged for a task whose registers are now `here`. A component that does not exist here is left out when it holds what it
 * holds initially. CR_EBADARCH, naming the component, when it is in use, or has another size; the same when `saved` is malformed.
 */
[[nodiscard]] Result<std::string> convertXstate(const Xstate& saved, const Xstate& here);

}  // namespace blcr
