// What a ring was made with, as far as its memory depends on it.
#pragma once

#include "base/result.h"
#include "base/ring.h"
#include "proc/ring_info.h"

namespace blcr {

struct RingForm {
  RingShape shape;
  RingPlaces places{};
};

/**
 * Finds out the shape of a ring in which nothing is under way and that nobody uses now. Linux tells it only of entries in the queues: for a
 * moment, two words of the ring's memory say that there are some. ENOTSUP when the kernel does not tell even so, or does not make such
 * rings (any more).
 */
[[nodiscard]] Result<RingForm> findRingForm(int fd, const RingInfo& info);

}  // namespace blcr
