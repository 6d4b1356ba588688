#include "restore/files/terminals.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/terminal_queue.h"
#include "restore/files/file_owner.h"

namespace blcr {
namespace {

using image::Terminal;

std::string nodeOf(const Terminal& terminal) { return terminalPath(terminal.number); }

Result<UniqueFd> openMaster() {
  UniqueFd master(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!master) return systemError("/dev/ptmx");
  return master;
}

/** Numbers are given out from the lowest: those between are held until all are made. */
Result<UniqueFd> masterOf(const Terminal& terminal, std::vector<UniqueFd>& between) {
  while (true) {
    auto master = openMaster();
    if (!master) return master.error();
    int number = -1;
    if (::ioctl(master->get(), TIOCGPTN, &number) != 0) return systemError("terminal " + nodeOf(terminal));
    if (number == terminal.number) return master;
    if (number > terminal.number) return Error{ENOTSUP, "terminal " + nodeOf(terminal) + ": its number is taken"};
    between.push_back(*std::move(master));
  }
}

Result<UniqueFd> openSlave(const Terminal& terminal, int master) {
  const int unlock = 0;
  if (::ioctl(master, TIOCSPTLCK, &unlock) != 0) return systemError("terminal " + nodeOf(terminal));
  UniqueFd slave(::open(nodeOf(terminal).c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  if (!slave) return systemError(nodeOf(terminal));
  return slave;
}

Status furnish(const Terminal& terminal, const TerminalEnds& ends, Log& log) {
  termios2 modes{};
  winsize size{};
  if (terminal.modes.size() != sizeof modes || terminal.size.size() != sizeof size) return Error{EINVAL, "a terminal without modes"};
  std::memcpy(&modes, terminal.modes.data(), sizeof modes);
  std::memcpy(&size, terminal.size.data(), sizeof size);
  if (::ioctl(ends.master, TIOCSWINSZ, &size) != 0) return systemError("size of terminal " + nodeOf(terminal));
  BLCR_TRY(fillTerminal(ends, modes, {terminal.lines, terminal.input, terminal.output}));
  const int on = 1;
  if (terminal.packets && ::ioctl(ends.master, TIOCPKT, &on) != 0) return systemError("packet mode of terminal " + nodeOf(terminal));
  BLCR_TRY(giveToOwner(ends.slave, terminal.fileOwner, "terminal " + nodeOf(terminal), log));
  if (::fchmod(ends.slave, terminal.fileMode & 07777) != 0) return systemError(nodeOf(terminal));
  return {};
}

Status control(Stub& stub, const std::string& what, int fd, uint64_t request, uint64_t argument) {
  return done(stub.call(what, SYS_ioctl, {uint64_t(fd), request, argument}));
}

Status bringToForeground(const Job& job, Stub& leader, const Terminal& terminal, int slave) {
  const auto group = leader.putObject(job.numbers(terminal.foreground));
  if (!group.ok()) return group.error();
  return control(leader, "foreground group of " + nodeOf(terminal), slave, TIOCSPGRP, group.value());
}

}  // namespace

Status mountTerminals() {
  if (::mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666") != 0)
    return systemError("terminals of the job's own: mounting devpts");
  struct stat info{};
  // A device leads to the devpts beside it; where a container has mounted one over it, it leads elsewhere.
  const bool isFile = ::lstat("/dev/ptmx", &info) == 0 && !S_ISLNK(info.st_mode);
  if (isFile && ::mount("/dev/pts/ptmx", "/dev/ptmx", nullptr, MS_BIND, nullptr) != 0) return systemError("/dev/ptmx");
  return {};
}

Result<TerminalSet> makeTerminals(const image::Image& image, Log& log) {
  const std::vector<Terminal>& all = image.terminals;
  TerminalSet set;
  set.masters.resize(all.size());
  set.slaves.resize(all.size());
  std::vector<size_t> order(all.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::sort(order.begin(), order.end(), [&all](size_t a, size_t b) { return all[a].number < all[b].number; });
  std::vector<UniqueFd> between;
  for (const size_t index : order) {
    auto master = masterOf(all[index], between);
    if (!master) return master.error();
    auto slave = openSlave(all[index], master->get());
    if (!slave) return slave.error();
    if (!all[index].hungUp) BLCR_TRY(furnish(all[index], {master->get(), slave->get()}, log));
    set.masters[index] = *std::move(master);
    set.slaves[index] = *std::move(slave);
  }
  return set;
}

Status lockTerminals(const image::Image& image, TerminalSet& set) {
  const int lock = 1;
  for (size_t index = 0; index < image.terminals.size(); ++index) {
    const Terminal& terminal = image.terminals[index];
    if (terminal.hungUp) set.masters[index].reset();
    if (terminal.locked && ::ioctl(set.masters[index].get(), TIOCSPTLCK, &lock) != 0) return systemError(nodeOf(terminal));
  }
  return {};
}

Status takeTerminal(const Job& job, Building& leader, const std::vector<int>& slaves) {
  const uint32_t index = leader.process->terminal;
  if (index == image::kNone || job.image.terminals[index].session != leader.process->pid) return {};
  return control(leader.leader(), "controlling terminal " + nodeOf(job.image.terminals[index]), slaves[index], TIOCSCTTY, 0);
}

Status settleTerminals(Job& job, const std::vector<int>& slaves) {
  for (size_t index = 0; index < slaves.size(); ++index) {
    const Terminal& terminal = job.image.terminals[index];
    if (terminal.session == 0) continue;
    for (Building& building : job.processes) {
      const image::Process& process = *building.process;
      if (!building.isAlive() || process.sid != terminal.session) continue;
      if (process.terminal != index) BLCR_TRY(control(building.leader(), "giving up its terminal", slaves[index], TIOCNOTTY, 0));
      const bool leads = process.pid == terminal.session && terminal.foreground != 0;
      if (leads) BLCR_TRY(bringToForeground(job, building.leader(), terminal, slaves[index]));
    }
  }
  return {};
}

}  // namespace blcr
