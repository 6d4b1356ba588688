// Processes that do not run on: stopped by job control, or told to their parents already.
#pragma once

#include "restore/job.h"

namespace blcr {

/** A group-stopped process (^Z). */
[[nodiscard]] bool isStopped(const Building& building);

/** Lets a task go. One that cannot be let go is being killed; its end is taken where that is the tracer's duty. */
void release(Building& building, Stub& stub);

/**
 * Stops a process, complete with registers, and lets it go: it waits for SIGCONT like before. Its parent, still under construction, hears
 * of the stop only when it had not yet.
 */
[[nodiscard]] Status stopAgain(Job& job, Building& building);

/** Takes a signal that the parent of `child` has got just now, while the tree was built. */
[[nodiscard]] Status dropSignalOfParent(Job& job, const image::Process& child, int32_t signal);

}  // namespace blcr
