// System V shared memory, semaphores and message queues that belong to a job.
#pragma once

#include <deque>
#include <string>

#include "base/result.h"
#include "dump/frozen.h"
#include "dump/recording.h"
#include "proc/system_v.h"

namespace blcr {

/**
 * Records the objects of the job with their contents. A restarted job has an IPC namespace of its own, everything in it is the job's. In
 * its first life it shares one with all others: its own are those that its processes have made, attached or used last, and those that may
 * be, because they were used since the job began by a process of the same user that has ended. Carrying one that was not the job's does no
 * harm. `isolated`: the keeper and the job are in namespaces that were made for a restart. kErrorNoSupport, naming the object: a process
 * outside the job uses it too, or it cannot be read. Called when all areas are known.
 */
[[nodiscard]] Status recordSystemV(std::deque<FrozenProcess>& processes, bool isolated, Recording& recording);

/** The segment of an area of `path` "/SYSV…", made when it is new; its content follows in recordSystemV(). */
[[nodiscard]] uint32_t attachedSegmentIndex(Recording& recording, int id);

/** Contents, into the image. Errors name the object. */
[[nodiscard]] Status recordSegment(const IpcObject& object, Recording& recording);
[[nodiscard]] Status recordSemaphores(const IpcObject& object, std::deque<FrozenProcess>& processes, Recording& recording);
[[nodiscard]] Status recordQueue(const IpcObject& object, Recording& recording);

}  // namespace blcr
