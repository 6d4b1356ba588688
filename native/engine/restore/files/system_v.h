// System V objects in the job's own IPC namespace, with their old numbers.
#pragma once

#include "base/attached_segment.h"
#include "image/model.h"
#include "restore/job.h"

namespace blcr {

/** Semaphore sets and message queues with their contents. ENOTSUP, naming the object, when its number cannot be had here. */
[[nodiscard]] Status makeSystemV(const image::Image& image, Log& log);

/** An empty segment, attached here. */
[[nodiscard]] Result<AttachedSegment> makeAttached(const image::SharedSegment& segment, Log& log);

/** Attaches what the area shows of segment `number` to a process. */
[[nodiscard]] Status attachArea(Stub& stub, const image::Area& area, const image::SharedSegment& segment);

/** What semaphores get back at the end of each process. */
[[nodiscard]] Status oweSemaphores(Job& job);

/**
 * Has those who changed a semaphore last do it again, so that it tells of them (GETPID), and its set that it was used: its date is how
 * programs see that another one has set it up. One whose user has ended tells of the keeper.
 */
[[nodiscard]] Status useSemaphores(Job& job);

/** When all have attached: segments that were removed are removed again. */
[[nodiscard]] Status removeSegments(const image::Image& image);

}  // namespace blcr
