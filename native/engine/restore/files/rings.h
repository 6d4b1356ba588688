// io_urings, made anew.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "image/model.h"

namespace blcr {

/**
 * A ring of the recorded shape, its counters and content. The kernel's own counters cannot be set: requests that do nothing are made until
 * they are right. Errors name io_uring: kErrorNoSupport where it is forbidden (kernel.io_uring_disabled, a filter), where the kernel does
 * not know that kind of ring, or lays it out otherwise: the program keeps addresses in it.
 */
[[nodiscard]] Result<UniqueFd> restoreRing(const image::Ring& ring);

}  // namespace blcr
