// Tasks are recorded outside of the vdso: its code may be another where the job goes on.
#pragma once

#include "base/result.h"
#include "dump/frozen.h"

namespace blcr {

/**
 * Lets every task that was stopped inside the vdso finish the function it is in: the functions are short and do not wait. At full speed
 * where the unwind tables tell where it will return to (about 0.04 ms), else instruction by instruction (about 1 ms). One that does not
 * come out soon, or whose process ignores SIGTRAP or has it waiting, is left where it is: its context can be restarted on the same kernel
 * only. ESRCH when a task died. The registers of every task are in FrozenTask::regs afterwards.
 */
[[nodiscard]] Status leaveVdso(FrozenProcess& process);

}  // namespace blcr
