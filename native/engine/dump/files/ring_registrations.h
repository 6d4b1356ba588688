// What is registered with a ring without the kernel's telling.
#pragma once

#include "dump/files/record_files.h"

namespace blcr {

/**
 * Refuses a ring with registrations that a new one would lack. `fd` is a descriptor of it in this process. A ring of one thread only
 * (IORING_SETUP_SINGLE_ISSUER) answers that thread alone, by injected calls.
 */
[[nodiscard]] Status refuseRegistered(const FileContext& context, const FoundDescriptor& found, int fd);

}  // namespace blcr
