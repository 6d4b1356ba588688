// /proc/PID/stat and /proc/PID/status, of a process or of one task, and lists of tasks.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace blcr {

/** /proc/PID/stat. Addresses are 0 and the exit code is absent without ptrace rights. Source: proc(5). */
struct ProcStat {
  pid_t pid = 0;
  std::string comm;
  char state = '?';
  bool exiting = false;  // PF_EXITING: it will run no more code of its own, and may have lost its memory already
  bool worker = false;   // PF_IO_WORKER
  pid_t ppid = 0, pgid = 0, sid = 0;
  int32_t terminal = 0, foregroundGroup = 0;
  uint64_t minorFaults = 0;
  uint64_t startTime = 0;  // clock ticks since boot: tells a process from a later one with the same number
  int32_t threads = 0, exitSignal = 0, exitCode = 0;
  uint64_t startCode = 0, endCode = 0, startStack = 0;
  uint64_t startData = 0, endData = 0, startBrk = 0;
  uint64_t argStart = 0, argEnd = 0, envStart = 0, envEnd = 0;
};

/** /proc/PID/status. */
struct ProcStatus {
  uint32_t umask = 022;
  pid_t tracer = 0, tgid = 0;
  uint64_t lockedKb = 0;
  std::array<uint32_t, 4> uid{}, gid{};
  std::vector<uint32_t> groups;
  uint64_t pending = 0, sharedPending = 0, blocked = 0, ignored = 0, caught = 0;  // bit n-1 = signal n
  uint64_t capInheritable = 0, capPermitted = 0, capEffective = 0, capBounding = 0, capAmbient = 0;
  bool noNewPrivileges = false;
  int32_t seccomp = 0;          // mode
  int32_t seccompFilters = -1;  // -1: the kernel does not tell (before 5.9)
  bool thpDisabled = false;
  std::vector<pid_t> nsPid;  // outermost first
};

/** EINVAL for malformed text. */
[[nodiscard]] Result<ProcStat> parseStat(std::string_view text);
[[nodiscard]] Result<ProcStatus> parseStatus(std::string_view text);

[[nodiscard]] Result<ProcStat> readStat(pid_t pid);
[[nodiscard]] Result<ProcStatus> readStatus(pid_t pid);
/** False for a zombie, for one on its way out, and for a number that nobody has. */
[[nodiscard]] bool isAlive(pid_t pid);
/** Nothing is left of it but its exit status. A process whose main thread has ended before others looks like a zombie and is none. */
[[nodiscard]] inline bool hasEnded(const ProcStat& stat) { return stat.state == 'X' || (stat.state == 'Z' && stat.threads <= 1); }
/** By whose number /proc shows memory and files of a process: `pid`, or that of another thread when the main thread has ended, and only
 * that. */
[[nodiscard]] pid_t speakerOf(pid_t pid);
[[nodiscard]] Result<ProcStat> readTaskStat(pid_t pid, pid_t tid);
[[nodiscard]] Result<ProcStatus> readTaskStatus(pid_t pid, pid_t tid);
/** The text of it; ESRCH when the task is gone. */
[[nodiscard]] Result<std::string> readTaskStatusText(pid_t pid, pid_t tid);

/** A thread that the kernel runs for a process (PF_IO_WORKER): it belongs to an io_uring. */
[[nodiscard]] bool isKernelWorker(pid_t pid, pid_t tid);

/** Size of the address space in pages. Source: proc(5), statm. */
[[nodiscard]] Result<uint64_t> readTotalPages(pid_t pid);

/** Task numbers of a process, the leader first; ESRCH when it is gone. */
[[nodiscard]] Result<std::vector<pid_t>> listTasks(pid_t pid);

/** Every process of /proc. */
[[nodiscard]] Result<std::vector<pid_t>> listProcesses();

}  // namespace blcr
