// An io_uring with nothing under way. Its whole state is in the memory that it shares with the program, and one number.
#pragma once

#include <cstdint>
#include <string>

namespace blcr::image {

/** Places in a ring's memory, in the order of io_uring_params: head, tail, ring_mask, ring_entries, flags, dropped and array of sq_off,
 * then head, tail, ring_mask, ring_entries, overflow, cqes and flags of cq_off. */
inline constexpr int kRingPlaces = 14;

/** More would take too long to be counted again at a restart: a tenth of a microsecond each. */
inline constexpr uint32_t kMaxRingCount = 1u << 27;

struct Ring {
  uint32_t entries = 0, completions = 0;  // sizes of the two queues; 0 = not recorded yet
  uint32_t flags = 0;                     // IORING_SETUP_SQE128, CQE32, NO_SQARRAY: those that the memory's layout depends on
  uint32_t layout[kRingPlaces] = {};
  uint32_t count = 0;         // requests so far, and as many completions: the kernel's own copies of both
  std::string queues, calls;  // content of the two mappings; zeros at the end are left out
};

}  // namespace blcr::image
