// Processes with a number of choice, made by the calling one.
#pragma once

#include <sys/types.h>

#include "base/result.h"

namespace blcr {

/**
 * A child of the calling process with `number`, 0: any. Returns 0 in the child, which has the calling thread only and shares nothing. Its
 * C library does not know that it has forked: it may call whatever does not ask that for the calling thread's own number. EPERM numbers
 * cannot be chosen here · EEXIST it is taken · EINVAL beyond pid_max. BLCR_DISABLE=clone3.
 */
[[nodiscard]] Result<pid_t> forkAs(int32_t number, int exitSignal);

/** For kernels before 5.5 and sandboxes without clone3: the next number of the namespace follows the one written here. Nobody else makes
 * tasks in it meanwhile. Source: proc(5), ns_last_pid. */
[[nodiscard]] Status prepareNumber(int32_t number);

/** What errno value `code` of a clone that asked for `number` means. */
[[nodiscard]] Error numberError(int code, int32_t number);

}  // namespace blcr
