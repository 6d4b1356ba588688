// Whether parents know of the stops of their children.
#pragma once

#include <deque>

#include "base/result.h"
#include "dump/frozen.h"
#include "image/model.h"

namespace blcr {

/**
 * Process::stopTold of every stopped process whose parent is recorded, too: the parent itself asks, without taking the answer. Linux before
 * 5.18 shows nothing of it in /proc/PID/stat. All processes must have their footholds.
 */
[[nodiscard]] Status recordToldStops(std::deque<FrozenProcess>& processes, image::Image& image);

}  // namespace blcr
