// Which tasks have one working directory and umask together, where kcmp may not be asked.
#pragma once

#include <deque>
#include <map>

#include "base/result.h"
#include "dump/frozen.h"

namespace blcr {

/** For every task of the living processes the first one that it shares them with, or itself. Umasks are changed and put back meanwhile. */
[[nodiscard]] Status findDirectories(std::deque<FrozenProcess>& processes, std::map<pid_t, pid_t>& holders);

}  // namespace blcr
