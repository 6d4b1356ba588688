// Mappings of io_urings. What is in them travels with the ring, not with the memory.
#pragma once

#include <set>
#include <vector>

#include "base/result.h"
#include "dump/recording.h"

namespace blcr {

[[nodiscard]] bool isRing(const Mapping& mapping);
/** Processes that had no ring a moment ago. */
[[nodiscard]] std::set<pid_t> ringless(const Recording& recording);
/** kErrorTemporary when one of those has got one since: the kernel may have threads in it that were taken for the program's. */
[[nodiscard]] Status refuseNewRing(pid_t pid, const std::vector<Mapping>& maps);
/** Index in Image::rings of the ring that has this inode. */
[[nodiscard]] uint32_t ringIndex(Recording& recording, ObjectKey key);
/** kErrorNoSupport for a mapping that the descriptor would not give again. */
[[nodiscard]] Status recordRingView(pid_t pid, const Mapping& mapping, Recording& recording, image::Area& area);
/** After all files are known: refuses mappings of a ring whose descriptor is closed. */
[[nodiscard]] Status checkRingViews(const image::Image& image);

}  // namespace blcr
