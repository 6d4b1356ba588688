#include "dump/tasks/registers.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/features.h"

namespace blcr {
namespace {

// Kernel-internal results, never seen by programs. Source: include/linux/errno.h
constexpr long kRestartNoHand = -514;
constexpr long kRestartBlock = -516;

constexpr long kStopInterrupted[] = {SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_rt_sigtimedwait,
                                     SYS_semop,      SYS_semtimedop,  SYS_io_getevents, SYS_io_pgetevents,
                                     SYS_recvfrom,   SYS_recvmsg,     SYS_recvmmsg,     SYS_sendto,
                                     SYS_sendmsg,    SYS_accept,      SYS_accept4,      SYS_io_uring_enter};

constexpr long kWithRestartBlock[] = {SYS_nanosleep, SYS_clock_nanosleep, SYS_futex, SYS_poll};

bool contains(std::span<const long> list, long number) { return std::find(list.begin(), list.end(), number) != list.end(); }

constexpr int kGetRseqConfiguration = 0x420f;  // PTRACE_GET_RSEQ_CONFIGURATION
struct RseqConfiguration {
  uint64_t address;
  uint32_t size, signature, flags, pad;
};
struct CriticalSection {
  uint32_t version, flags;
  uint64_t start, length, abort;
};

/** The registration that glibc makes for every thread. Source: sys/rseq.h (RSEQ_SIG, 32 bytes up to glibc 2.40). */
RseqConfiguration glibcRegistration(uint64_t threadPointer, int64_t offset) {
  if (offset == 0 || threadPointer == 0) return {};
  return {threadPointer + uint64_t(offset), 32, 0x53053053, 0, 0};
}

/** A wait that was called through syscall(3), whose code does not say for what. Only what its arguments leave no doubt about. */
bool looksLikeFutexWait(const user_regs_struct& regs, const RemoteMemory& memory) {
  const uint64_t operation = regs.rsi & ~uint64_t(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
  if ((operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET) || regs.rdi % sizeof(uint32_t) != 0) return false;
  const auto word = memory.get<uint32_t>(regs.rdi);
  const auto limit = memory.get<timespec>(regs.r10);
  const bool waits = word && word.value() == uint32_t(regs.rdx);
  return waits && limit && limit.value().tv_sec >= 0 && limit.value().tv_nsec >= 0 && limit.value().tv_nsec < 1000000000;
}

}  // namespace

bool undoSpuriousInterrupt(user_regs_struct& regs) {
  if (long(regs.rax) != -EINTR || !contains(kStopInterrupted, long(regs.orig_rax))) return false;
  regs.rax = uint64_t(kRestartNoHand);
  return true;
}

void undoSpuriousInterrupt(Tracee& task) {
  auto regs = task.registers();
  // A task that has died meanwhile needs nothing.
  if (regs && undoSpuriousInterrupt(*regs)) static_cast<void>(task.setRegisters(*regs));
}

long interruptedCall(const user_regs_struct& regs, const RemoteMemory& memory) {
  if (long(regs.orig_rax) != SYS_restart_syscall) return long(regs.orig_rax);
  std::array<std::byte, 64> code{};
  constexpr size_t kSyscallLength = 2;
  if (!memory.read(regs.rip - code.size(), code)) return -1;
  for (size_t at = code.size() - kSyscallLength - 5 + 1; at-- > 0;) {
    uint32_t number = 0;
    std::memcpy(&number, &code[at + 1], sizeof number);
    const bool move = code[at] == std::byte{0xb8} || (code[at] == std::byte{0xc0} && at > 0 && code[at - 1] == std::byte{0xc7});
    if (move && contains(kWithRestartBlock, long(number))) return long(number);
  }
  return looksLikeFutexWait(regs, memory) ? SYS_futex : -1;
}

void replaceRestartBlock(user_regs_struct& regs, long number) {
  if (long(regs.orig_rax) < 0 || long(regs.rax) != kRestartBlock) return;
  if (number < 0) {
    regs.rax = uint64_t(-long(EINTR));  // unknown call: what the kernel itself says when it cannot restart
    regs.orig_rax = ~0ull;
    return;
  }
  regs.rax = uint64_t(kRestartNoHand);
  regs.orig_rax = uint64_t(number);
  if (number == SYS_nanosleep && regs.rsi != 0) regs.rdi = regs.rsi;
  if (number == SYS_clock_nanosleep && regs.r10 != 0) regs.rdx = regs.r10;
}

void leaveCriticalSection(Tracee& task, uint64_t rseqAddress) {
  RseqConfiguration found{};
  const bool told = ::ptrace(static_cast<__ptrace_request>(kGetRseqConfiguration), task.tid(), sizeof found, &found) >= 0;
  const uint64_t address = told && featureAllowed("rseq_config") ? found.address : rseqAddress;
  auto regs = task.registers();
  // A task that has died meanwhile needs nothing.
  if (address == 0 || !regs) return;
  const RemoteMemory memory(task.tid());
  const auto section = memory.get<uint64_t>(address + kCriticalSectionInArea);
  if (section && moveToAbort(memory, section.value(), *regs)) static_cast<void>(task.setRegisters(*regs));
}

bool moveToAbort(const RemoteMemory& memory, uint64_t section, user_regs_struct& regs) {
  if (section == 0) return false;
  const auto described = memory.get<CriticalSection>(section);
  if (!described || regs.rip - described.value().start >= described.value().length) return false;
  regs.rip = described.value().abort;
  return true;
}

void recordRseq(pid_t tid, int64_t glibcOffset, const user_regs_struct& regs, image::Task& into) {
  RseqConfiguration found{};
  if (::ptrace(static_cast<__ptrace_request>(kGetRseqConfiguration), tid, sizeof found, &found) < 0 || !featureAllowed("rseq_config")) {
    found = glibcRegistration(regs.fs_base, glibcOffset);
  }
  into.rseqAddress = found.address;
  into.rseqSize = found.size;
  into.rseqSignature = found.signature;
}

}  // namespace blcr
