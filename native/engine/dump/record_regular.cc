// Regular files, memfds, and the kernel's objects without a name (eventfd, timerfd, signalfd, epoll).
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/io.h"
#include "dump/record_files.h"
#include "dump/record_memory.h"

namespace blcr {
namespace {

constexpr long kProcMagic = 0x9fa0;  // PROC_SUPER_MAGIC
constexpr uint64_t kMaxUnlinked = 1ull << 30;

/** The content of a file that has no name, read through the process's descriptor. */
Status carryContent(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  const auto size = uint64_t(found.info.st_size);
  if (size > kMaxUnlinked) return refuseFile(found, "an unlinked file of more than 1 GiB");
  // A new description: the process's own may be write-only, and its offset must not move.
  const std::string path = "/proc/" + std::to_string(found.pid) + "/fd/" + std::to_string(found.fd);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return systemError(found.name());
  BlobSource blob;
  blob.blob = uint32_t(context.recording.image.blobs.size());
  blob.data.resize(size);
  auto count = readUpToAt(fd.get(), blob.data, 0);
  if (!count) return Error{count.error().code, found.name() + ": " + count.error().detail};
  blob.data.resize(*count);
  context.recording.image.blobs.push_back({*count});
  file.blob = blob.blob;
  file.kind = image::FileKind::kUnlinked;
  context.recording.blobs.push_back(std::move(blob));
  return {};
}

/** A second description of the same unlinked file shares its content. */
bool reuseContent(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  for (const FoundDescriptor& other : context.found) {
    if (other.info.st_ino != found.info.st_ino || other.info.st_dev != found.info.st_dev) continue;
    const image::OpenFile& known = context.recording.image.files[other.description];
    if (&known == &file || known.kind != image::FileKind::kUnlinked || known.blob == image::kNone) continue;
    file.kind = image::FileKind::kUnlinked;
    file.blob = known.blob;
    return true;
  }
  return false;
}

/** memfd, or an unlinked file that is mapped shared: both live on as a segment. */
Status recordSegmentFile(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  Recording& recording = context.recording;
  file.kind = image::FileKind::kMemFd;
  file.object = segmentIndex(recording, {found.info.st_dev, found.info.st_ino}, found.link);
  SegmentSource& source = recording.segments[file.object];
  source.size = uint64_t(found.info.st_size);
  if (source.fd) return {};
  const std::string path = "/proc/" + std::to_string(found.pid) + "/fd/" + std::to_string(found.fd);
  source.fd = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!source.fd) return systemError(found.name());
  const int seals = ::fcntl(source.fd.get(), F_GET_SEALS);
  if (seals > 0) recording.image.shared[file.object].seals = uint32_t(seals);
  return {};
}

/**
 * A periodic timerfd that expired stands still until somebody looks: fdinfo then shows neither the periods that went by nor when the next
 * one ends. timerfd_gettime makes the kernel count. Source: fs/timerfd.c.
 */
FdInfo countedTimer(const FoundDescriptor& found) {
  const auto timer = borrowDescriptor(found.pid, found.fd);
  itimerspec now{};
  if (!timer || ::timerfd_gettime(timer.value().get(), &now) != 0) return found.details;
  auto details = readFdInfo(found.pid, found.fd);
  return details ? *std::move(details) : found.details;
}

}  // namespace

Status recordRegular(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  file.size = uint64_t(found.info.st_size);
  const ObjectKey key{found.info.st_dev, found.info.st_ino};
  if (isSharedMemoryLink(found.link) || context.recording.segmentOf.contains(key)) return recordSegmentFile(context, found, file);
  struct stat named{};
  const bool good = ::lstat(found.link.c_str(), &named) == 0 && named.st_ino == found.info.st_ino && named.st_dev == found.info.st_dev;
  if (!good) return reuseContent(context, found, file) ? Status() : carryContent(context, found, file);
  struct statfs system{};
  const bool proc = found.link.starts_with("/proc/") && ::statfs(found.link.c_str(), &system) == 0 && system.f_type == kProcMagic;
  file.kind = proc ? image::FileKind::kProc : image::FileKind::kRegular;
  return {};
}

Status recordAnonymousInode(FileContext&, const FoundDescriptor& found, image::OpenFile& file) {
  const FdInfo details = found.link == "anon_inode:[timerfd]" ? countedTimer(found) : found.details;
  if (found.link == "anon_inode:[eventfd]") {
    file.kind = image::FileKind::kEventFd;
    file.counter = details.eventCount;
    file.semaphore = details.semaphore;
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
  } else {
    return refuseFile(found, "this kernel object is not supported");
  }
  return {};
}

Status recordEpollTargets(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  std::map<int32_t, uint32_t> seen;  // several files may have been added under one number
  for (const EpollWatch& watch : found.details.watches) {
    kcmp_epoll_slot slot{uint32_t(found.fd), uint32_t(watch.fd), seen[watch.fd]++};
    const auto matches = [&](const FoundDescriptor& other) {
      return ::syscall(SYS_kcmp, other.pid, found.pid, KCMP_EPOLL_TFD, other.fd, &slot) == 0;
    };
    const FoundDescriptor* target = nullptr;
    for (const FoundDescriptor& other : context.found) {
      if (other.pid == found.pid && other.fd == watch.fd && matches(other)) target = &other;
    }
    for (size_t i = 0; target == nullptr && i < context.found.size(); ++i) {
      if (matches(context.found[i])) target = &context.found[i];
    }
    if (target == nullptr) return refuseFile(found, "watches a file that the job has not open (number " + std::to_string(watch.fd) + ")");
    file.epoll.push_back({watch.fd, target->description, watch.events, watch.data});
  }
  return {};
}

}  // namespace blcr
