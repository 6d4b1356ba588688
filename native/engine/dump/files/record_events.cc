// The kernel's objects without a name: eventfd, timerfd, signalfd, epoll, inotify, pidfd.
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>

#include "base/codes.h"
#include "base/features.h"
#include "dump/files/find_path.h"
#include "dump/files/record_files.h"
#include "proc/file_system.h"

namespace blcr {
namespace {

/**
 * A periodic timerfd that expired stands still until somebody looks: fdinfo then shows neither the periods that went by nor when the next
 * one ends. timerfd_gettime makes the kernel count. Source: fs/timerfd.c.
 */
FdInfo countedTimer(const FoundDescriptor& found) {
  const auto timer = borrowDescriptor(found);
  itimerspec now{};
  if (!timer || ::timerfd_gettime(timer.value().get(), &now) != 0) return found.details;
  auto details = readFdInfo(found.task, found.fd);
  return details ? *std::move(details) : found.details;
}

uint64_t readCounter(int fd) {
  uint64_t value = 0;
  return ::read(fd, &value, sizeof value) == sizeof value ? value : 0;
}

bool addToCounter(int fd, uint64_t value) { return value == 0 || ::write(fd, &value, sizeof value) == sizeof value; }

/**
 * Whether reading takes 1 or everything, found out by reading: the counter is made at least 2 for that, and afterwards what it was. Nobody
 * sees it, the job stands still.
 */
Result<bool> takesOneAtATime(int fd, uint64_t count) {
  const uint64_t added = count < 2 ? 2 - count : 0;
  if (!addToCounter(fd, added)) return systemError("eventfd");
  const bool semaphore = readCounter(fd) == 1;
  bool mended = true;
  if (!semaphore) {
    mended = addToCounter(fd, count);
  } else if (added == 0) {
    mended = addToCounter(fd, 1);
  } else if (added == 2) {
    mended = readCounter(fd) == 1;
  }
  if (!mended) return systemError("eventfd");
  return semaphore;
}

Status recordEventFd(const FoundDescriptor& found, image::OpenFile& file) {
  file.kind = image::FileKind::kEventFd;
  file.counter = found.details.eventCount;
  if (found.details.semaphore && featureAllowed("eventfd_semaphore")) {
    file.semaphore = *found.details.semaphore;
    return {};
  }
  const auto own = borrowDescriptor(found);
  if (!own) return own.error();
  const auto semaphore = takesOneAtATime(own.value().get(), file.counter);
  if (!semaphore) return semaphore.error();
  file.semaphore = semaphore.value();
  return {};
}

/** The first description of the same inode: which dead process a pidfd stands for shows in nothing else. */
uint32_t firstOf(const FileContext& context, const FoundDescriptor& found) {
  for (const FoundDescriptor& other : context.found)
    if (other.info.st_ino == found.info.st_ino && other.info.st_dev == found.info.st_dev) return uint32_t(other.description);
  return uint32_t(found.description);
}

/** A process of the job, or for PIDFD_THREAD a thread. */
bool isTask(const FileContext& context, const FoundDescriptor& found) {
  const pid_t wanted = found.details.process;
  if (context.members.contains(wanted)) return true;
  const auto has = [wanted](const image::Process& process) {
    return std::any_of(process.tasks.begin(), process.tasks.end(), [wanted](const image::Task& task) { return task.tid == wanted; });
  };
  const auto& all = context.recording.image.processes;
  return (found.details.flags & O_EXCL) != 0 && std::any_of(all.begin(), all.end(), has);
}

Status recordPidFd(const FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  file.kind = image::FileKind::kPidFd;
  file.ownerPid = std::max(found.details.process, 0);
  if (file.ownerPid == 0) file.object = firstOf(context, found);
  if (file.ownerPid == 0 || isTask(context, found)) return {};
  return refuseFile(found, "it stands for process " + std::to_string(found.details.process) + " outside the job");
}

/** A description of a watched file that has no name any more; kNone when the job has it not open. */
uint32_t openFile(const FileContext& context, const InotifyMark& mark) {
  for (const FoundDescriptor& each : context.found)
    if (S_ISREG(each.info.st_mode) && each.info.st_ino == mark.inode && kernelDevice(each.info.st_dev) == mark.device)
      return each.description;
  return image::kNone;
}

Status recordInotify(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  file.kind = image::FileKind::kInotify;
  const auto own = borrowDescriptor(found);
  if (!own) return own.error();
  int waiting = 0;
  if (::ioctl(own.value().get(), FIONREAD, &waiting) != 0) return systemError(found.name());
  // They cannot be put into another instance; the program will read them in a moment.
  if (waiting != 0) return Error{kErrorTemporary, found.name() + ": events are waiting in it"};
  for (const InotifyMark& mark : found.details.marks) {
    const std::string path = context.recording.paths.find(mark.inode, mark.device);
    const uint32_t open = path.empty() ? openFile(context, mark) : image::kNone;
    if (path.empty() && open == image::kNone)
      return refuseFile(found, "the path of watch " + std::to_string(mark.number) + " is not known");
    file.watches.push_back({mark.number, mark.mask, path, open});
  }
  std::sort(file.watches.begin(), file.watches.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  return {};
}

}  // namespace

Status recordAnonymousInode(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  const FdInfo details = found.link == "anon_inode:[timerfd]" ? countedTimer(found) : found.details;
  if (found.link == "anon_inode:[io_uring]") return recordRing(context, found, file);
  if (found.link == "anon_inode:[userfaultfd]") return refuseFile(found, "userfaultfd is not supported");
  if (found.link == "anon_inode:[eventfd]") {
    return recordEventFd(found, file);
  } else if (found.link == "anon_inode:[timerfd]") {
    file.kind = image::FileKind::kTimerFd;
    file.clock = details.clock;
    file.timerFlags = details.timerFlags;
    file.valueNs = details.valueNs;
    file.intervalNs = details.intervalNs;
    file.expirations = details.ticks;
  } else if (found.link == "anon_inode:[signalfd]") {
    file.kind = image::FileKind::kSignalFd;
    file.sigmask = details.sigmask;
  } else if (found.link == "anon_inode:[eventpoll]") {
    file.kind = image::FileKind::kEpoll;
  } else if (found.link == "anon_inode:[pidfd]") {
    return recordPidFd(context, found, file);
  } else if (found.link == "anon_inode:inotify") {
    return recordInotify(context, found, file);
  } else {
    return refuseFile(found, "this kernel object is not supported");
  }
  return {};
}

}  // namespace blcr
