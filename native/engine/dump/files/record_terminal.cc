// Pseudo-terminals with both ends in the job.
#include <asm/ioctls.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "base/codes.h"
#include "base/terminal_queue.h"
#include "dump/files/record_files.h"

namespace blcr {
namespace {

constexpr unsigned kSlaveMajor = 136;
#ifndef TIOCGEXCL
constexpr unsigned long TIOCGEXCL = _IOR('T', 0x40, int);
#endif

bool isMaster(const FoundDescriptor& found) { return S_ISCHR(found.info.st_mode) && found.info.st_rdev == makedev(5, 2); }

bool isSlave(const FoundDescriptor& found) { return S_ISCHR(found.info.st_mode) && major(found.info.st_rdev) == kSlaveMajor; }

/** /dev/tty: the controlling terminal of whoever opened it. */
bool isOwnTerminal(const FoundDescriptor& found) { return S_ISCHR(found.info.st_mode) && found.info.st_rdev == makedev(5, 0); }

/** A descriptor of /dev/tty. */
bool leadsTo(const FoundDescriptor& found, int number) {
  const auto fd = borrowDescriptor(found);
  unsigned device = 0;
  return fd.ok() && ::ioctl(fd.value().get(), TIOCGDEV, &device) == 0 && device == makedev(kSlaveMajor, unsigned(number));
}

/** Hung up: its master was closed. */
bool isDead(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLHUP) != 0;
}

/** Everything of one terminal is asked through its master. */
class Recorder {
 public:
  Recorder(FileContext& context, const FoundDescriptor& master, int fd) : context_(context), master_(master), fd_(fd) {}

  Status record(image::Terminal& into) {
    struct stat node{};
    const std::string path = terminalPath(into.number);
    if (::stat(path.c_str(), &node) != 0 || !S_ISCHR(node.st_mode) || minor(node.st_rdev) != unsigned(into.number))
      return refuseFile(master_, "a terminal that is not in /dev/pts");
    into.fileMode = node.st_mode & 07777;
    into.fileOwner = {node.st_uid, node.st_gid};
    if (node.st_uid != ::geteuid() && ::geteuid() != 0) return refuseFile(master_, "a terminal that belongs to another user");
    device_ = node.st_dev;
    winsize size{};
    int locked = 0, packets = 0;
    if (::ioctl(fd_, TIOCGWINSZ, &size) != 0 || ::ioctl(fd_, TIOCGPTLCK, &locked) != 0 || ::ioctl(fd_, TIOCGPKT, &packets) != 0)
      return systemError(master_.name());
    into.size.assign(reinterpret_cast<const char*>(&size), sizeof size);
    into.locked = locked != 0;
    into.packets = packets != 0;
    pid_t session = 0, group = 0;
    if (::ioctl(fd_, TIOCGSID, &session) == 0) into.session = session;
    if (::ioctl(fd_, TIOCGPGRP, &group) == 0 && into.session != 0) into.foreground = group;
    BLCR_TRY(findOtherEnd(into));
    return recordQueue(path, into);
  }

 private:
  Status findOtherEnd(image::Terminal& into) {
    const auto isOther = [&](const FoundDescriptor& each) {
      if (isOwnTerminal(each)) return leadsTo(each, into.number);
      return isSlave(each) && minor(each.info.st_rdev) == unsigned(into.number) && each.info.st_dev == device_;
    };
    into.closed = std::none_of(context_.found.begin(), context_.found.end(), isOther);
    if (!into.closed || isDead(fd_)) return {};
    return Error{kErrorTemporary, master_.name() + ": the other end of this terminal has not been opened yet"};
  }

  Status recordQueue(const std::string& path, image::Terminal& into) {
    const UniqueFd slave(::open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    if (!slave && errno == EBUSY) return refuseFile(master_, "a terminal in exclusive mode (TIOCEXCL)");
    if (!slave) return Error{kErrorNoSupport, master_.name() + ": " + systemError(path).detail};
    int discipline = 0, exclusive = 0;
    if (::ioctl(slave.get(), TIOCGETD, &discipline) != 0 || discipline != 0) return refuseFile(master_, "a line discipline of its own");
    if (::ioctl(slave.get(), TIOCGEXCL, &exclusive) == 0 && exclusive != 0) return refuseFile(master_, "a terminal in exclusive mode");
    termios locked{}, unlocked{};
    if (::ioctl(slave.get(), TIOCGLCKTRMIOS, &locked) == 0 && std::memcmp(&locked, &unlocked, sizeof locked) != 0)
      return refuseFile(master_, "a terminal with locked modes (TIOCSLCKTRMIOS)");
    auto modes = terminalModes(slave.get());
    if (!modes) return modes.error();
    if ((modes->c_lflag & EXTPROC) != 0) return refuseFile(master_, "a terminal in the mode EXTPROC");
    into.modes.assign(reinterpret_cast<const char*>(&*modes), sizeof *modes);
    pollfd status{fd_, POLLPRI, 0};
    const TerminalEnds ends{fd_, slave.get()};
    if (into.packets && ::poll(&status, 1, 0) == 1 && (status.revents & POLLPRI) != 0)
      return Error{kErrorTemporary, master_.name() + ": a message of packet mode waits to be read"};
    if (!takesData(ends))
      return Error{kErrorTemporary, master_.name() + ": the terminal's output was stopped, or much of it waits to be read"};
    return copyQueue(ends, *modes, into);
  }

  /** There is no looking at it: it is taken, and put back at once. */
  Status copyQueue(const TerminalEnds& ends, const termios2& modes, image::Terminal& into) {
    int off = 0, on = 1;
    if (into.packets) ::ioctl(fd_, TIOCPKT, &off);
    TerminalQueue queue;
    const Status drained = drainTerminal(ends, modes, queue);
    const Status filled = fillTerminal(ends, modes, queue);
    const Status again = setTerminalModes(ends.slave, modes);
    if (into.packets) ::ioctl(fd_, TIOCPKT, &on);
    for (const Status& status : {drained, filled, again})
      if (!status) return Error{status.error().code, master_.name() + ": " + status.error().detail};
    into.lines = std::move(queue.lines);
    into.input = std::move(queue.input);
    into.output = std::move(queue.output);
    return {};
  }

  FileContext& context_;
  const FoundDescriptor& master_;
  int fd_;
  dev_t device_ = 0;  // of /dev/pts: others may have the same numbers
};

image::Terminal& addTerminal(FileContext& context, int number) {
  std::vector<image::Terminal>& all = context.recording.image.terminals;
  context.terminalOf[number] = uint32_t(all.size());
  all.emplace_back().number = number;
  return all.back();
}

Status recordMaster(FileContext& context, const FoundDescriptor& found) {
  const auto fd = borrowDescriptor(found);
  if (!fd) return fd.error();
  int number = -1;
  if (::ioctl(fd.value().get(), TIOCGPTN, &number) != 0) return systemError(found.name());
  if (context.terminalOf.contains(number)) return {};
  return Recorder(context, found, fd.value().get()).record(addTerminal(context, number));
}

/** The number of the terminal that a descriptor leads to. */
Result<int> numberOf(const FoundDescriptor& found, int fd) {
  if (isSlave(found)) return int(minor(found.info.st_rdev));
  int number = -1;
  if (isMaster(found)) return ::ioctl(fd, TIOCGPTN, &number) == 0 ? Result<int>(number) : systemError(found.name());
  unsigned device = 0;  // /dev/tty
  if (::ioctl(fd, TIOCGDEV, &device) != 0) return systemError(found.name());
  return major(device) == kSlaveMajor ? Result<int>(int(minor(device))) : refuseFile(found, "a terminal of its own");
}

bool isMember(const Recording& recording, int32_t group) {
  const auto& all = recording.image.processes;
  return std::any_of(all.begin(), all.end(), [group](const image::Process& process) { return process.pgid == group; });
}

/** Who has which of them as controlling terminal. */
Status assignTerminals(const std::deque<FrozenProcess>& processes, Recording& recording) {
  for (uint32_t index = 0; index < recording.image.terminals.size(); ++index) {
    const image::Terminal& terminal = recording.image.terminals[index];
    if (terminal.session == 0) continue;
    for (size_t i = 0; i < processes.size(); ++i) {
      const ProcStat& stat = processes[i].stat;
      if (!processes[i].zombie && stat.sid == terminal.session && stat.terminal != 0) recording.image.processes[i].terminal = index;
    }
    if (terminal.foreground != 0 && !isMember(recording, terminal.foreground))
      return Error{kErrorTemporary, "terminal " + terminalPath(terminal.number) + ": its foreground process group has just ended"};
  }
  return {};
}

}  // namespace

Status lookAtTerminals(FileContext& context, const std::deque<FrozenProcess>& processes) {
  for (const FoundDescriptor& found : context.found)
    if (isMaster(found)) BLCR_TRY(recordMaster(context, found));
  return assignTerminals(processes, context.recording);
}

Status recordTerminal(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  file.kind = image::FileKind::kTerminal;
  const auto fd = borrowDescriptor(found);
  if (!fd) return fd.error();
  auto number = numberOf(found, fd.value().get());
  if (!number) return number.error();
  file.end = isMaster(found) ? 0 : 1;
  const bool hungUp = file.end == 1 && isDead(fd.value().get()) && found.link.ends_with(kDeleted);
  if (hungUp && !context.terminalOf.contains(*number)) addTerminal(context, *number).hungUp = true;
  const auto known = context.terminalOf.find(*number);
  struct stat node{};
  const bool elsewhere =
      isSlave(found) && !hungUp && (::stat(terminalPath(*number).c_str(), &node) != 0 || node.st_dev != found.info.st_dev);
  if (known == context.terminalOf.end() || elsewhere) return refuseFile(found, "a terminal other than the launcher's");
  file.object = known->second;
  if (file.end == 1) file.path = terminalPath(*number);
  return {};
}

bool isTerminal(const FileContext& context, const FoundDescriptor& found) {
  if (isMaster(found) || isSlave(found)) return true;
  if (!isOwnTerminal(found)) return false;
  for (const image::Process& process : context.recording.image.processes)
    if (process.pid == found.pid) return process.terminal != image::kNone;
  return false;
}

}  // namespace blcr
