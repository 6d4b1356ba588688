// The machine and the moment, as the job sees them.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "image/model.h"

namespace blcr {

/** Kernel, processor and vdso of this machine; of the processor what a job with that baseline ("" = none) may be using. Costs about 50 us
 * after the first call; not for the stop. */
void recordHost(const std::string& cpuBaseline, image::Host& into);

/** The clocks of `pid`: another time namespace than ours shifts them. */
void recordClocks(pid_t pid, image::Host& into);

/**
 * kErrorNoSupport when `pid`, which `speaker` is a thread of, lives in other namespaces (pid, mount, user, network, IPC, UTS, cgroup, time)
 * than this process: its numbers, paths and sockets would mean something else.
 */
[[nodiscard]] Status refuseForeignNamespaces(pid_t pid, pid_t speaker);

}  // namespace blcr
