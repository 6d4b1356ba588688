// Processes whose main thread has ended (pthread_exit in main) while others go on: what is left of it is a number and an exit status.
#pragma once

#include <deque>

#include "base/result.h"
#include "dump/frozen.h"
#include "image/model.h"

namespace blcr {

/** Adds what /proc tells by another thread's number only, the process's addresses, to its stat, and notes the main thread's exit
 * status. kErrorNoSupport when that cannot be known or made again. */
[[nodiscard]] Status lookAtLostLeader(FrozenProcess& process);

/**
 * The signal at a parent's end (PR_SET_PDEATHSIG) comes when the thread ends that has made the child, and nobody is told which that was. A
 * restart lets main threads make all children: kErrorNoSupport for a child that wants one when that of its parent has ended.
 */
[[nodiscard]] Status refuseTiedToThreads(const std::deque<FrozenProcess>& processes, const image::Image& image);

/**
 * kErrorNoSupport when one has an io_uring, whose user is for the kernel who makes it again, and that is the main thread; or has no vdso,
 * where the main thread makes its last call.
 */
[[nodiscard]] Status refuseNeedsOfLeader(const std::deque<FrozenProcess>& processes, const image::Image& image);

/** Gives such processes a first task again that stands for the main thread (image::hasEnded): in the image only, when all is recorded. */
void addLostLeaders(image::Image& image);

}  // namespace blcr
