// POSIX timers (timer_create) of a frozen process.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "dump/frozen.h"
#include "image/model.h"

namespace blcr {

/** /proc/PID/timers without values. EINVAL when malformed. Source: proc(5). */
[[nodiscard]] Result<std::vector<image::PosixTimer>> parseTimers(std::string_view text);

/** All timers with their remaining times, of a process with a foothold. A kernel without /proc/PID/timers (no CONFIG_CHECKPOINT_RESTORE)
 * is taken to have none. */
[[nodiscard]] Status recordPosixTimers(FrozenProcess& process, std::vector<image::PosixTimer>& into);

/**
 * Signals that timers have sent since those that wait were recorded: they are recorded, too, and such a timer is read once more. The
 * recorded signals are older than all values of timers.
 */
[[nodiscard]] Status takeLateSignals(FrozenProcess& process, image::Process& into);

}  // namespace blcr
