// Content of shared memory: fork does not copy it, so it is found, and for a running job copied, inside the stop.
#pragma once

#include "base/result.h"
#include "dump/frozen.h"
#include "dump/recording.h"

namespace blcr {

/**
 * Finds the pages of every shared segment and fills recording.segmentPages; with `copy` their bytes too, otherwise they are read by
 * readSegment later while the stop lasts. Segments with a descriptor are searched with SEEK_DATA; others with mincore, injected into a
 * mapper: pages that no process maps any more are seen only so.
 */
[[nodiscard]] Status findSegmentPages(FrozenSet& frozen, Recording& recording, bool copy);

/** Reads one found range. */
[[nodiscard]] Status readSegment(const Recording& recording, const SegmentPages& pages, uint64_t offset, std::span<std::byte> into);

}  // namespace blcr
