// Memory of huge pages that was asked for as such (MAP_HUGETLB, MFD_HUGETLB, SHM_HUGETLB). Transparent ones are ordinary memory.
#pragma once

#include "dump/frozen.h"
#include "dump/recording.h"

namespace blcr {

/** Sizes of the pages of the areas of one process, read when the first one asks. */
class HugeSizes {
 public:
  explicit HugeSizes(pid_t pid) : pid_(pid) {}
  /** As Area::hugeShift. kErrorNoSupport when the kernel does not tell. */
  [[nodiscard]] Result<uint8_t> shiftOf(const Mapping& mapping);

 private:
  pid_t pid_;
  std::map<uint64_t, uint64_t> sizes_;
  bool areRead_ = false;
};

/** Of such memory that has no name in a hugetlbfs: all but its files. */
[[nodiscard]] bool isNamelessHuge(const Mapping& mapping);

/** Of no file that anybody else could see. */
[[nodiscard]] bool isAnonymousHuge(const Mapping& mapping);

/**
 * Pages are set aside for whoever has mapped them, and not for its children: these have theirs as long as nobody writes, or else where
 * some are free. A restart must not ask for more than there were.
 */
void recordReservation(const FrozenProcess& process, const Mapping& mapping, Recording& recording, image::Area& area);

/**
 * A part of System V shared memory that is attached here. Pages that nobody has touched are made by that, of those that are set aside for
 * the segment; where none are (SHM_NORESERVE) and none is free, it is zero.
 */
[[nodiscard]] Status readHuge(const AttachedSegment& segment, uint64_t offset, std::span<std::byte> into);

/** Page size of System V shared memory that is attached here, as Area::hugeShift; its size must be whole pages. */
[[nodiscard]] Result<uint8_t> hugeShiftOf(const AttachedSegment& segment);

}  // namespace blcr
