// Threads and what belongs to each of them.
#pragma once

#include "restore/files/sources.h"
#include "restore/job.h"

namespace blcr {

/** Makes the other threads of a process, with their numbers and what working directories they have of their own; after buildMemory, and
 * before the sources are taken away. */
[[nodiscard]] Status growThreads(Job& job, Building& building, const Sources& sources);

/** Per thread: name, rseq, robust list, alternate stack, scheduling, death signal; after the pages are loaded and credentials applied. */
[[nodiscard]] Status dressTasks(Job& job, Building& building);

/** Registers, extended registers, signal mask; the task is then in a stop from which it can be let go. */
[[nodiscard]] Status loadRegisters(const Job& job, Building& building);

}  // namespace blcr
