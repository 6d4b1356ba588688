// Registers as a checkpoint needs them: interrupted system calls and restartable sequences brought into a state that can be continued.
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <cstdint>

#include "base/result.h"
#include "image/model.h"
#include "trace/tracee.h"

namespace blcr {

/**
 * Calls that fail with a plain EINTR when they are merely stopped (epoll_wait, sigtimedwait, …) are made restartable: EINTR becomes
 * ERESTARTNOHAND, which the kernel turns back into EINTR if a signal handler is due. Right for the live task too. True when changed.
 * Source: signal(7), "interruption of system calls by stop signals".
 */
bool undoSpuriousInterrupt(user_regs_struct& regs);

/** The same for a stopped task that is let go: each stop interrupts such a call anew, also one in which nothing is recorded. */
void undoSpuriousInterrupt(Tracee& task);

/**
 * ERESTART_RESTARTBLOCK refers to kernel state that a restored task lacks: sleeps continue with the remaining time that the kernel has
 * stored, other calls begin anew. Only for the recorded registers; the live task keeps its own.
 * `number` is the call that was interrupted (see interruptedCall).
 */
void replaceRestartBlock(user_regs_struct& regs, long number);

/**
 * The call behind restart_syscall(2): a task that was stopped twice in one sleep shows 219 in orig_rax. Its number is found in the code
 * before the syscall instruction (mov $N, %eax); -1 when it is not there.
 */
[[nodiscard]] long interruptedCall(const user_regs_struct& regs, const RemoteMemory& memory);

/** Records the registration of restartable sequences. */
void recordRseq(pid_t tid, int64_t glibcOffset, const user_regs_struct& regs, image::Task& into);

/** Where the registered area holds the address of the critical section that the task is in, or 0. Source: linux/rseq.h */
constexpr uint64_t kCriticalSectionInArea = 8;

/**
 * Inside the critical section described at `section` (0 = none) moves rip to its abort handler, as the kernel does when the task goes on;
 * for the live task as well: the kernel forgets the section as soon as injected code has run. True when `regs` changed.
 */
[[nodiscard]] bool moveToAbort(const RemoteMemory& memory, uint64_t section, user_regs_struct& regs);

/** The same for a task that is stopped once more. `rseqAddress`: as recorded, for kernels that do not tell. */
void leaveCriticalSection(Tracee& task, uint64_t rseqAddress);

}  // namespace blcr
