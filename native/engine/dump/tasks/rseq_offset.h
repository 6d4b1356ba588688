// Where glibc keeps its rseq area, and which threads have registered it, for kernels that do not tell.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "dump/frozen.h"
#include "image/model.h"
#include "proc/maps.h"

namespace blcr {

/** True when PTRACE_GET_RSEQ_CONFIGURATION works (Linux 5.13; BLCR_DISABLE=rseq_config). `tid` is a stopped tracee. */
[[nodiscard]] bool kernelTellsRseq(pid_t tid);

/**
 * Distance of the area from the thread pointer, read from the variable __rseq_offset of the target's dynamic loader (glibc from 2.35);
 * 0 when the process has none: nothing is then registered.
 */
[[nodiscard]] int64_t glibcRseqOffset(pid_t pid, const std::vector<Mapping>& maps);

/**
 * Asks each thread whether what was taken for its registration is one: a new thread has yet to make it, and the C library of one that was
 * given another's stack finds that it cannot. Refused is what was registered elsewhere. `into` has the supposed registrations.
 */
[[nodiscard]] Status confirmRseq(FrozenProcess& process, image::Process& into);

}  // namespace blcr
