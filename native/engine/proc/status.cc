#include "proc/status.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/io.h"
#include "base/unique_fd.h"
#include "proc/parse.h"

namespace blcr {
namespace {

bool takeSigned(std::string_view& text, int64_t& into) {
  skipBlanks(text);
  const bool negative = takeChar(text, '-');
  const auto value = takeNumber(text, 10);
  if (!value) return false;
  into = negative ? -int64_t(*value) : int64_t(*value);
  return true;
}

template <size_t N>
void takeNumbers(std::string_view text, std::array<uint32_t, N>& into) {
  for (uint32_t& entry : into) {
    skipBlanks(text);
    entry = uint32_t(takeNumber(text, 10).value_or(0));
  }
}

template <typename T>
std::vector<T> numberList(std::string_view text) {
  std::vector<T> list;
  for (skipBlanks(text); !text.empty(); skipBlanks(text)) {
    const auto value = takeNumber(text, 10);
    if (!value) break;
    list.push_back(T(*value));
  }
  return list;
}

void applyStatusLine(std::string_view key, std::string_view value, ProcStatus& status) {
  skipBlanks(value);
  const auto number = [&value](unsigned base) { return takeNumber(value, base).value_or(0); };
  if (key == "Umask") status.umask = uint32_t(number(8));
  if (key == "VmLck") status.lockedKb = number(10);
  if (key == "Tgid") status.tgid = pid_t(number(10));
  if (key == "TracerPid") status.tracer = pid_t(number(10));
  if (key == "Uid") takeNumbers(value, status.uid);
  if (key == "Gid") takeNumbers(value, status.gid);
  if (key == "Groups") status.groups = numberList<uint32_t>(value);
  if (key == "SigPnd") status.pending = number(16);
  if (key == "ShdPnd") status.sharedPending = number(16);
  if (key == "SigBlk") status.blocked = number(16);
  if (key == "SigIgn") status.ignored = number(16);
  if (key == "SigCgt") status.caught = number(16);
  if (key == "CapInh") status.capInheritable = number(16);
  if (key == "CapPrm") status.capPermitted = number(16);
  if (key == "CapEff") status.capEffective = number(16);
  if (key == "CapBnd") status.capBounding = number(16);
  if (key == "CapAmb") status.capAmbient = number(16);
  if (key == "NoNewPrivs") status.noNewPrivileges = number(10) != 0;
  if (key == "Seccomp") status.seccomp = int32_t(number(10));
  if (key == "Seccomp_filters") status.seccompFilters = int32_t(number(10));
  if (key == "THP_enabled") status.thpDisabled = number(10) == 0;
  if (key == "NSpid") status.nsPid = numberList<pid_t>(value);
}

Result<std::vector<pid_t>> listNumbers(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> handle(::opendir(directory.c_str()), ::closedir);
  if (!handle) return errno == ENOENT ? Error{ESRCH, directory + ": no such process"} : systemError(directory);
  std::vector<pid_t> numbers;
  while (const dirent* entry = ::readdir(handle.get())) {
    std::string_view name = entry->d_name;
    const auto number = takeNumber(name, 10);
    if (number && name.empty()) numbers.push_back(pid_t(*number));
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

}  // namespace

Result<ProcStat> parseStat(std::string_view text) {
  ProcStat stat;
  const auto pid = takeNumber(text, 10);
  const size_t open = text.find('(');
  const size_t close = text.rfind(')');  // the name may hold brackets and blanks itself
  if (!pid || open == std::string_view::npos || close == std::string_view::npos || close < open) {
    return Error{EINVAL, "stat: malformed"};
  }
  stat.pid = pid_t(*pid);
  stat.comm = std::string(text.substr(open + 1, close - open - 1));
  text.remove_prefix(close + 1);
  const std::string_view state = takeField(text);
  if (state.size() != 1) return Error{EINVAL, "stat: malformed state"};
  stat.state = state.front();
  std::array<int64_t, 53> field{};  // numbered as in proc(5)
  for (size_t index = 4; index < field.size(); ++index) {
    skipBlanks(text);
    std::string_view rest = text;
    if (takeSigned(rest, field[index])) {
      text = rest;
    } else if (index <= 22) {
      return Error{EINVAL, "stat: too short"};
    } else {
      break;  // an older kernel
    }
  }
  stat.ppid = pid_t(field[4]), stat.pgid = pid_t(field[5]), stat.sid = pid_t(field[6]);
  stat.terminal = int32_t(field[7]), stat.foregroundGroup = int32_t(field[8]);
  constexpr int64_t kExiting = 4, kWorker = 16;  // PF_EXITING, PF_IO_WORKER, linux/sched.h
  stat.exiting = (field[9] & kExiting) != 0, stat.worker = (field[9] & kWorker) != 0;
  stat.minorFaults = uint64_t(field[10]);
  stat.threads = int32_t(field[20]), stat.startTime = uint64_t(field[22]);
  stat.startCode = uint64_t(field[26]), stat.endCode = uint64_t(field[27]), stat.startStack = uint64_t(field[28]);
  stat.exitSignal = int32_t(field[38]);
  stat.startData = uint64_t(field[45]), stat.endData = uint64_t(field[46]), stat.startBrk = uint64_t(field[47]);
  stat.argStart = uint64_t(field[48]), stat.argEnd = uint64_t(field[49]);
  stat.envStart = uint64_t(field[50]), stat.envEnd = uint64_t(field[51]);
  stat.exitCode = int32_t(field[52]);
  return stat;
}

Result<ProcStatus> parseStatus(std::string_view text) {
  ProcStatus status;
  if (!text.starts_with("Name:")) return Error{EINVAL, "status: malformed"};
  while (!text.empty()) {
    const std::string_view line = takeLine(text);
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos) applyStatusLine(line.substr(0, colon), line.substr(colon + 1), status);
  }
  return status;
}

Result<ProcStat> readStat(pid_t pid) {
  auto text = readFile("/proc/" + std::to_string(pid) + "/stat");
  if (!text) return Error{text.error().code == ENOENT ? ESRCH : text.error().code, text.error().detail};
  return parseStat(*text);
}

bool isAlive(pid_t pid) {
  const auto stat = readStat(pid);
  return stat && stat.value().state != 'Z' && stat.value().state != 'X' && !stat.value().exiting;
}

pid_t speakerOf(pid_t pid) {
  const auto leader = readStat(pid);
  if (!leader || leader.value().state != 'Z' || leader.value().threads <= 1) return pid;
  const auto tasks = listTasks(pid);
  for (const pid_t tid : tasks ? tasks.value() : std::vector<pid_t>()) {
    const auto stat = readTaskStat(pid, tid);
    if (stat && stat.value().state != 'Z' && stat.value().state != 'X' && !stat.value().exiting) return tid;
  }
  return pid;
}

Result<ProcStatus> readStatus(pid_t pid) { return readTaskStatus(pid, pid); }

Result<ProcStat> readTaskStat(pid_t pid, pid_t tid) {
  auto text = readFile("/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/stat");
  if (!text) return Error{text.error().code == ENOENT ? ESRCH : text.error().code, text.error().detail};
  return parseStat(*text);
}

Result<ProcStatus> readTaskStatus(pid_t pid, pid_t tid) {
  auto text = readTaskStatusText(pid, tid);
  if (!text) return text.error();
  return parseStatus(*text);
}

Result<std::string> readTaskStatusText(pid_t pid, pid_t tid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/status";
  std::array<char, 8192> buffer;  // the kernel gives this file in one piece, which is longer only where there are many groups
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t size = file ? ::read(file.get(), buffer.data(), buffer.size()) : 0;
  if (size > 0 && size_t(size) < buffer.size()) return std::string(buffer.data(), size_t(size));
  auto text = readFile(path);
  if (!text && text.error().code == ENOENT) return Error{ESRCH, text.error().detail};
  return text;
}

bool isKernelWorker(pid_t pid, pid_t tid) {
  const auto stat = readTaskStat(pid, tid);
  return stat && stat.value().worker;
}

Result<uint64_t> readTotalPages(pid_t pid) {
  auto text = readFile("/proc/" + std::to_string(pid) + "/statm");
  if (!text) return text.error();
  std::string_view rest = *text;
  const auto pages = takeNumber(rest, 10);
  if (!pages) return Error{EINVAL, "statm: malformed"};
  return *pages;
}

Result<std::vector<pid_t>> listTasks(pid_t pid) {
  auto tasks = listNumbers("/proc/" + std::to_string(pid) + "/task");
  if (!tasks) return tasks;
  const auto leader = std::find(tasks->begin(), tasks->end(), pid);
  if (leader != tasks->end()) std::rotate(tasks->begin(), leader, leader + 1);
  return tasks;
}

Result<std::vector<pid_t>> listProcesses() { return listNumbers("/proc"); }

}  // namespace blcr
