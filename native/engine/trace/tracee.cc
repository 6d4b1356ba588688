#include "trace/tracee.h"

#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <array>
#include <utility>

#include "base/clock.h"
#include "proc/status.h"

namespace blcr {
namespace {

constexpr int kSyscallStop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD

long request(int operation, pid_t tid, unsigned long address, unsigned long data) {
  return ::ptrace(static_cast<__ptrace_request>(operation), tid, reinterpret_cast<void*>(address), reinterpret_cast<void*>(data));
}

int eventOf(int status) { return status >> 16; }

Error traceError(const char* what, pid_t tid) { return systemError("task " + std::to_string(tid) + ": " + what); }

}  // namespace

Result<Tracee> Tracee::seize(pid_t tid, unsigned long options) {
  if (request(PTRACE_SEIZE, tid, 0, options | PTRACE_O_TRACESYSGOOD) != 0) return traceError("ptrace seize", tid);
  Tracee tracee(tid, options);
  if (request(PTRACE_INTERRUPT, tid, 0, 0) != 0) return traceError("ptrace interrupt", tid);
  return tracee;
}

Result<int> Tracee::waitChange(int timeoutMs) {
  const int64_t deadline = nowNs() + int64_t(timeoutMs) * 1000000;
  bool ended = false;
  for (int round = 0;; ++round) {
    int status = 0;
    const pid_t pid = ::waitpid(tid_, &status, __WALL | WNOHANG);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) return Error{ESRCH, "task " + std::to_string(tid_) + " is gone"};
    if (pid == 0) {
      if (timeoutMs >= 0 && nowNs() >= deadline) return Error{ETIMEDOUT, "task " + std::to_string(tid_) + " does not stop"};
      // A running task stops within microseconds; only a task in an uninterruptible call lets this come to sleeping.
      if (round < 50) {
        ::sched_yield();
        continue;
      }
      // Never a wait that blocks: the end of a killed leader is not told before we, its tracer, have taken those of its threads.
      if (ended) return Error{ESRCH, "task " + std::to_string(tid_) + " has been killed"};
      const auto stat = timeoutMs < 0 ? readStat(tid_) : Result<ProcStat>(ProcStat{});
      ended = !stat || stat.value().state == 'Z';
      sleepUs(round < 150 ? 20 : 500);
      continue;
    }
    if (WIFSTOPPED(status)) return status;
    exitStatus_ = status;
    return Error{ESRCH, "task " + std::to_string(tid_) + " has ended"};
  }
}

void Tracee::noteEvent(int status) {
  const int event = eventOf(status);
  restarts_ = event == PTRACE_EVENT_STOP;
  if (restarts_) {
    const int signal = WSTOPSIG(status);
    groupStopSignal_ = signal == SIGTRAP ? 0 : signal;
  }
  if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK) {
    unsigned long child = 0;
    if (request(PTRACE_GETEVENTMSG, tid_, 0, reinterpret_cast<unsigned long>(&child)) == 0) children_.push_back(pid_t(child));
  }
}

Status Tracee::waitStop(int timeoutMs) {
  while (true) {
    auto status = waitChange(timeoutMs);
    if (!status) return status.error();
    noteEvent(*status);
    if (restarts_) return {};
    const int signal = WSTOPSIG(*status);
    const bool delivery = eventOf(*status) == 0 && signal != kSyscallStop;
    BLCR_TRY(interrupt());  // a stop of any kind makes the kernel forget that one was asked for meanwhile
    if (request(PTRACE_CONT, tid_, 0, delivery ? unsigned(signal) : 0) != 0) return traceError("ptrace cont", tid_);
  }
}

Status Tracee::interrupt() {
  if (request(PTRACE_INTERRUPT, tid_, 0, 0) != 0) return traceError("ptrace interrupt", tid_);
  return {};
}

Status Tracee::settle() {
  if (restarts_) return {};
  BLCR_TRY(interrupt());
  BLCR_TRY(resume());
  return waitStop(-1);
}

Status Tracee::resume(int signal) {
  if (request(PTRACE_CONT, tid_, 0, unsigned(signal)) != 0) return traceError("ptrace cont", tid_);
  restarts_ = false;
  return {};
}

Status Tracee::setOptions(unsigned long options) {
  if (options == options_) return {};
  if (request(PTRACE_SETOPTIONS, tid_, 0, options | PTRACE_O_TRACESYSGOOD) != 0) return traceError("ptrace options", tid_);
  options_ = options;
  return {};
}

std::vector<pid_t> Tracee::takeChildren() { return std::exchange(children_, {}); }

Result<user_regs_struct> Tracee::registers() const {
  user_regs_struct regs{};
  iovec vector{&regs, sizeof regs};
  if (request(PTRACE_GETREGSET, tid_, NT_PRSTATUS, reinterpret_cast<unsigned long>(&vector)) != 0) return traceError("registers", tid_);
  // A 32-bit task fills a shorter structure; nothing in this engine speaks that ABI.
  if (vector.iov_len != sizeof regs) return Error{ENOTSUP, "task " + std::to_string(tid_) + " runs in 32-bit mode"};
  return regs;
}

Status Tracee::setRegisters(const user_regs_struct& regs) {
  user_regs_struct copy = regs;
  iovec vector{&copy, sizeof copy};
  if (request(PTRACE_SETREGSET, tid_, NT_PRSTATUS, reinterpret_cast<unsigned long>(&vector)) != 0) {
    return traceError("set registers", tid_);
  }
  return {};
}

Result<std::string> Tracee::xstate() const {
  // AMX tiles need 8 KiB beyond the 2.7 KiB of AVX-512; the kernel tells the real size.
  std::array<char, 16384> bytes;
  iovec vector{bytes.data(), bytes.size()};
  if (request(PTRACE_GETREGSET, tid_, NT_X86_XSTATE, reinterpret_cast<unsigned long>(&vector)) != 0) return traceError("xstate", tid_);
  return std::string(bytes.data(), vector.iov_len);
}

Status Tracee::setXstate(const std::string& bytes) {
  iovec vector{const_cast<char*>(bytes.data()), bytes.size()};
  if (request(PTRACE_SETREGSET, tid_, NT_X86_XSTATE, reinterpret_cast<unsigned long>(&vector)) != 0) {
    return traceError("set xstate", tid_);
  }
  return {};
}

Result<uint64_t> Tracee::signalMask() const {
  uint64_t mask = 0;
  if (request(PTRACE_GETSIGMASK, tid_, sizeof mask, reinterpret_cast<unsigned long>(&mask)) != 0) return traceError("signal mask", tid_);
  return mask;
}

Status Tracee::setSignalMask(uint64_t mask) {
  if (request(PTRACE_SETSIGMASK, tid_, sizeof mask, reinterpret_cast<unsigned long>(&mask)) != 0) {
    return traceError("set signal mask", tid_);
  }
  return {};
}

Status Tracee::toSyscallStop() {
  int signal = 0;
  while (true) {
    if (request(PTRACE_SYSCALL, tid_, 0, unsigned(signal)) != 0) return traceError("ptrace syscall", tid_);
    restarts_ = false;
    signal = 0;
    auto status = waitChange(-1);
    if (!status) return status.error();
    noteEvent(*status);
    if (WSTOPSIG(*status) == kSyscallStop) return {};
    // SIGSTOP is the one signal that cannot be blocked: passed on, it makes an event stop, which the next round leaves again.
    if (eventOf(*status) == 0) signal = WSTOPSIG(*status);
  }
}

Status Tracee::prepareCall(uint64_t instruction, long number, std::array<uint64_t, 6> arguments) {
  auto regs = registers();
  if (!regs) return regs.error();
  regs->rip = instruction;
  regs->rax = uint64_t(number);
  regs->orig_rax = ~0ull;  // no system call to restart
  regs->rdi = arguments[0];
  regs->rsi = arguments[1];
  regs->rdx = arguments[2];
  regs->r10 = arguments[3];
  regs->r8 = arguments[4];
  regs->r9 = arguments[5];
  return setRegisters(*regs);
}

Result<long> Tracee::callResult() const {
  auto after = registers();
  if (!after) return after.error();
  return long(after->rax);
}

Result<long> Tracee::inject(uint64_t instruction, long number, std::array<uint64_t, 6> arguments) {
  BLCR_TRY(prepareCall(instruction, number, arguments));
  BLCR_TRY(toSyscallStop());  // entry
  BLCR_TRY(toSyscallStop());  // exit
  return callResult();
}

Result<long> Tracee::injectLast(uint64_t instruction, long number, std::array<uint64_t, 6> arguments) {
  BLCR_TRY(prepareCall(instruction, number, arguments));
  BLCR_TRY(toSyscallStop());
  BLCR_TRY(settle());  // asks for the stop before the call is made: it comes behind it
  return callResult();
}

Status Tracee::runUntilSignal(int wanted) {
  BLCR_TRY(resume());
  return awaitSignal(wanted);
}

Status Tracee::awaitSignal(int wanted) {
  while (true) {
    auto status = waitChange(-1);
    if (!status) return status.error();
    noteEvent(*status);
    const int signal = eventOf(*status) == 0 ? WSTOPSIG(*status) : 0;
    restarts_ = restarts_ || signal == wanted;
    if (signal == wanted) return {};
    BLCR_TRY(resume(signal));
  }
}

Result<int> Tracee::runToStop(int timeoutMs) {
  BLCR_TRY(resume());
  auto status = waitChange(timeoutMs);
  if (!status && status.error().code == ETIMEDOUT) {
    BLCR_TRY(interrupt());
    status = waitChange(-1);
  }
  if (!status) return status.error();
  noteEvent(*status);
  const bool isDelivery = eventOf(*status) == 0 && WSTOPSIG(*status) != kSyscallStop;
  restarts_ = restarts_ || isDelivery;
  return isDelivery ? WSTOPSIG(*status) : 0;
}

bool Tracee::hasFaulted() const {
  siginfo_t info{};
  return request(PTRACE_GETSIGINFO, tid_, 0, reinterpret_cast<unsigned long>(&info)) == 0 && info.si_code > 0;
}

Status Tracee::step(int signal) {
  while (true) {
    if (request(PTRACE_SINGLESTEP, tid_, 0, unsigned(signal)) != 0) return traceError("ptrace step", tid_);
    restarts_ = false;
    auto status = waitChange(-1);
    if (!status) return status.error();
    noteEvent(*status);
    signal = eventOf(*status) == 0 ? WSTOPSIG(*status) : 0;
    if (signal == SIGTRAP && hasFaulted()) return {};
  }
}

Status Tracee::detach(int signal) {
  if (request(PTRACE_DETACH, tid_, 0, unsigned(signal)) != 0) return traceError("ptrace detach", tid_);
  return {};
}

}  // namespace blcr
