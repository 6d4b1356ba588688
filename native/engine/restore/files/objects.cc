#include "restore/files/objects.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "restore/files/file_owner.h"
#include "restore/memory/huge_pages.h"

namespace blcr {
namespace {

constexpr int64_t kSecond = 1000000000;
constexpr unsigned long kSetTicks = _IOW('T', 0, uint64_t);  // TFD_IOC_SET_TICKS, linux/timerfd.h

timespec toTimespec(int64_t nanoseconds) { return {nanoseconds / kSecond, nanoseconds % kSecond}; }

}  // namespace

Result<UniqueFd> makeUnnamedFile(uint64_t size, const std::string& directory) {
  UniqueFd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd) fd.reset(::memfd_create("unlinked", MFD_CLOEXEC));
  if (!fd || ::ftruncate(fd.get(), off_t(size)) != 0) return systemError("an unnamed file of " + std::to_string(size) + " bytes");
  return fd;
}

Result<UniqueFd> makeCarriedFile(uint64_t size, const std::string& path) {
  constexpr unsigned kExecutable = 0x10;  // MFD_EXEC, Linux 6.3; before, all are
  constexpr size_t kLongestName = 200;
  const std::string name = path.substr(path.rfind('/') + 1).substr(0, kLongestName);
  UniqueFd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | kExecutable));
  if (!fd && errno == EINVAL) fd.reset(::memfd_create(name.c_str(), MFD_CLOEXEC));
  if (!fd || ::ftruncate(fd.get(), off_t(size)) != 0) return systemError("memory for the content of " + path);
  return fd;
}

Result<Segment> makeSegment(const image::SharedSegment& segment, Log& log) {
  Segment made;
  if (segment.path.empty()) {
    const auto huge = unsigned(hugeFlags(segment.hugeShift, MFD_HUGETLB));
    made.fd.reset(::memfd_create(segment.name.empty() ? "shared" : segment.name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING | huge));
  } else {
    made.path = segment.path.substr(0, segment.path.rfind('/') + 1) + ".blcr-XXXXXX";
    made.fd.reset(::mkostemp(made.path.data(), O_CLOEXEC));
  }
  const std::string what = "shared memory of " + std::to_string(segment.size) + " bytes " + segment.path;
  if (!made.fd) return explainHuge(systemError(what), segment.hugeShift);
  const Status given = giveToOwner(made.fd.get(), segment.fileOwner, what, log);
  const bool good =
      ::ftruncate(made.fd.get(), off_t(segment.size)) == 0 && (segment.mode == 0 || ::fchmod(made.fd.get(), segment.mode) == 0);
  if (good && given.ok()) return made;
  const Error error = good ? given.error() : systemError(what);
  if (!made.path.empty()) ::unlink(made.path.c_str());
  return error;
}

bool fillPipe(int fd, const image::Pipe& pipe) {
  std::string_view rest = pipe.content;
  for (const uint32_t length : pipe.packetLengths) {  // one write makes one packet
    if (length > rest.size() || ::write(fd, rest.data(), length) != ssize_t(length)) return false;
    rest.remove_prefix(length);
  }
  return rest.empty() || ::write(fd, rest.data(), rest.size()) == ssize_t(rest.size());
}

Result<std::array<UniqueFd, 2>> makePipe(const image::Pipe& pipe) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK | (pipe.packets ? O_DIRECT : 0)) != 0) return systemError("making a pipe");
  std::array<UniqueFd, 2> result{UniqueFd(ends[0]), UniqueFd(ends[1])};
  if (pipe.capacity != 0) ::fcntl(ends[1], F_SETPIPE_SZ, int(pipe.capacity));  // matters only when the content does not fit
  if (!fillPipe(ends[1], pipe))
    return Error{ENOBUFS, "a pipe with " + std::to_string(pipe.content.size()) + " bytes in it (fs.pipe-user-pages-soft)"};
  return result;
}

Result<UniqueFd> makeEventFd(const image::OpenFile& file) {
  UniqueFd fd(::eventfd(0, EFD_CLOEXEC | (file.flags & O_NONBLOCK) | (file.semaphore ? EFD_SEMAPHORE : 0)));
  if (!fd) return systemError("eventfd");
  if (file.counter != 0 && ::write(fd.get(), &file.counter, sizeof file.counter) != sizeof file.counter)
    return systemError("eventfd counter");
  return fd;
}

Result<UniqueFd> makeSignalFd(const image::OpenFile& file) {
  UniqueFd fd(int(::syscall(SYS_signalfd4, -1, &file.sigmask, sizeof file.sigmask, SFD_CLOEXEC | (file.flags & O_NONBLOCK))));
  if (!fd) return systemError("signalfd");
  return fd;
}

Result<UniqueFd> makeEpoll() {
  UniqueFd fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!fd) return systemError("epoll");
  return fd;
}

Result<UniqueFd> makeTimerFd(const image::OpenFile& file) {
  UniqueFd fd(::timerfd_create(file.clock, TFD_CLOEXEC | (file.flags & O_NONBLOCK)));
  if (!fd) return systemError("timerfd of clock " + std::to_string(file.clock));
  return fd;
}

/** In `left` nanoseconds. What was set for a time of day follows the clock when that is set, or is cancelled by it. */
static Status startTimer(int fd, const image::OpenFile& file, int64_t left, bool isAtTimeOfDay) {
  timespec now{};
  if (isAtTimeOfDay && ::clock_gettime(CLOCK_REALTIME, &now) != 0) return systemError("time of day");
  const itimerspec spec{toTimespec(file.intervalNs), toTimespec(left + int64_t(now.tv_sec) * 1000000000 + now.tv_nsec)};
  const int flags = isAtTimeOfDay ? int(file.timerFlags) & (TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) : 0;
  return ::timerfd_settime(fd, flags, &spec, nullptr) == 0 ? Status() : systemError("arming a timerfd");
}

Status armTimerFd(int fd, const image::OpenFile& file, Elapsed elapsed) {
  const bool ofDay = file.clock == CLOCK_REALTIME || file.clock == CLOCK_REALTIME_ALARM;
  const bool isAtTimeOfDay = ofDay && (file.timerFlags & TFD_TIMER_ABSTIME) != 0;
  // What is due at a time of day is due then, however long the job was away; all other clocks stood still until its restart began.
  const int64_t away = isAtTimeOfDay ? elapsed.realNs : elapsed.monotonicNs;
  int64_t value = file.valueNs;
  uint64_t ticks = file.expirations;
  if (value > 0 && away < value) {
    value -= away;
  } else if (value > 0 && file.intervalNs > 0) {
    ticks += 1 + uint64_t((away - value) / file.intervalNs);
    value = file.intervalNs - (away - value) % file.intervalNs;
  } else if (value > 0 || file.intervalNs > 0) {
    value = ticks != 0 && file.intervalNs > 0 ? file.intervalNs : 1;
  }
  if (value > 0) BLCR_TRY(startTimer(fd, file, value, isAtTimeOfDay));
  if (ticks != 0 && ::ioctl(fd, kSetTicks, &ticks) != 0) {
    const itimerspec now{toTimespec(file.intervalNs), toTimespec(1)};  // a kernel without CHECKPOINT_RESTORE: at least one expiry
    if (::timerfd_settime(fd, 0, &now, nullptr) != 0) return systemError("arming a timerfd");
  }
  return {};
}

}  // namespace blcr
