// Starting the job's program.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "signals.h"
#include "terminal.h"

namespace blcr {

/**
 * Forks and executes `arguments` (NULL-terminated; searched in $PATH) with the signal settings and descriptors that the keeper was started
 * with: in a session of its own, or with a controlling terminal in a process group of its own. It gets SIGKILL when the keeper dies.
 * The error of execve(2), naming the program, when that fails; nothing runs then.
 */
[[nodiscard]] Result<pid_t> launch(char* const* arguments, const SignalSettings& settings, const Terminal& terminal);

}  // namespace blcr
