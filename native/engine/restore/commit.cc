#include "restore/commit.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "base/clock.h"
#include "base/io.h"
#include "restore/files/attributes.h"
#include "restore/files/file_owner.h"
#include "restore/files/objects.h"
#include "restore/files/system_v.h"
#include "restore/relocate.h"

namespace blcr {
namespace {

using image::FileKind;
using image::OpenFile;

bool isWritable(const OpenFile& file) { return (file.flags & O_ACCMODE) != O_RDONLY && (file.flags & O_PATH) == 0; }

std::string sizes(uint64_t recorded, off_t now) {
  return std::to_string(now) + " bytes now, " + std::to_string(recorded) + " at the checkpoint";
}

Status checkFile(const Job& job, const OpenFile& file, int fd) {
  struct stat now{};
  if (::fstat(fd, &now) != 0) return systemError(file.path);
  if (!S_ISREG(now.st_mode)) return Error{ESTALE, file.path + ": no regular file any more"};
  if (uint64_t(now.st_size) == file.size || job.request.files == FilePolicy::kKeep) return {};
  if (job.request.files == FilePolicy::kRefuse) return Error{ESTALE, file.path + ": " + sizes(file.size, now.st_size)};
  // Appended to: can be undone. Shorter: what the job believes to be there is lost.
  if (uint64_t(now.st_size) < file.size) return Error{ESTALE, file.path + ": cannot be rolled back, " + sizes(file.size, now.st_size)};
  return {};
}

Status rollBack(Job& job, const OpenFile& file, int fd) {
  struct stat now{};
  if (job.request.files != FilePolicy::kRollback || !isWritable(file)) return {};
  if (::fstat(fd, &now) != 0) return systemError(file.path);
  if (uint64_t(now.st_size) <= file.size) return {};
  if (::ftruncate(fd, off_t(file.size)) != 0) return systemError("rolling back " + file.path);
  job.log.line(file.path + ": rolled back, " + sizes(file.size, now.st_size));
  return {};
}

/** True when the stream's file is the job's own: found under its (relocated) path, or laid out for it and not yet written through this
 * stream. */
bool isJobsFile(const Job& job, const OpenFile& file, int fd, const struct stat& now) {
  const std::string path = relocated(job.request.relocate, job.image.inheritedPath[file.inherited]);
  const auto link = readLink(descriptorPath(fd));
  if (!path.empty() && link.ok() && link.value() == path) return true;  // also where this user may not look at it by its name
  struct stat named{};
  if (!path.empty() && ::stat(path.c_str(), &named) == 0 && named.st_ino == now.st_ino && named.st_dev == now.st_dev) return true;
  return (::fcntl(fd, F_GETFL) & O_APPEND) == 0 && ::lseek(fd, 0, SEEK_CUR) == 0 && uint64_t(now.st_size) >= file.size;
}

/** Non-blocking mode is shared with the launcher, but the job was written for the one that it set. */
Status setBlocking(int fd, const OpenFile& file) {
  const int status = ::fcntl(fd, F_GETFL);
  const int wanted = (status & ~O_NONBLOCK) | (file.flags & O_NONBLOCK);
  if (status >= 0 && wanted != status && ::fcntl(fd, F_SETFL, wanted) != 0) return systemError("flags of a standard stream");
  return {};
}

/** A standard stream that was, and again is, a regular file of the job goes on where the checkpoint was; any other is the launcher's own.
 */
Status positionStream(Job& job, const OpenFile& file, int fd) {
  BLCR_TRY(setBlocking(fd, file));
  struct stat now{};
  if (::fstat(fd, &now) != 0) return systemError("a standard stream");
  if (!S_ISREG(now.st_mode) || !S_ISREG(file.mode)) return {};
  const bool writable = (::fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
  const std::string name = "standard stream " + std::to_string(file.inherited);
  if (writable && (!isJobsFile(job, file, fd, now) || uint64_t(now.st_size) < file.size)) {
    // Another file than before: its content is somebody else's, the job's output follows it.
    if (::lseek(fd, 0, SEEK_END) < 0) return systemError("position in " + name);
    return {};
  }
  if (writable && job.request.files == FilePolicy::kRefuse && uint64_t(now.st_size) != file.size)
    return Error{ESTALE, name + ": " + sizes(file.size, now.st_size)};
  if (writable && job.request.files == FilePolicy::kRollback && ::ftruncate(fd, off_t(file.size)) != 0)
    return systemError("rolling back " + name);
  if (::lseek(fd, off_t(file.offset), SEEK_SET) < 0) return systemError("position in " + name);
  return {};
}

/** Last, because writing takes the bits away that give rights, and is a modification. */
Status setMode(Job& job, const Sources& sources, const OpenFile& file) {
  const int fd = sources.blobs[file.blob];
  BLCR_TRY(giveToOwner(fd, file.fileOwner, file.path, job.log));
  setAttributes(fd, file.attributes, false, file.path, job.log);
  if (::fchmod(fd, file.mode & 07777) != 0) return systemError("mode of " + file.path);
  setAttributes(fd, file.attributes, true, file.path, job.log);
  const timespec times[] = {{0, UTIME_OMIT}, timespec{file.valueNs / 1000000000, file.valueNs % 1000000000}};
  if (file.valueNs > 0 && ::futimens(fd, times) != 0) return systemError("time of " + file.path);
  return {};
}

Status fillFifos(const Job& job, const Sources& sources) {
  for (const auto& [object, fd] : sources.fifoHolders) {
    const image::Pipe& pipe = job.image.pipes[object];
    if (pipe.capacity != 0) ::fcntl(fd, F_SETPIPE_SZ, int(pipe.capacity));
    if (pipe.content.empty()) continue;
    if (!fillPipe(fd, pipe)) return Error{ENOBUFS, "the content of a FIFO does not fit"};
  }
  return {};
}

Status nameSegments(const Job& job, Sources& sources) {
  for (size_t index = 0; index < job.image.shared.size(); ++index) BLCR_TRY(sources.temporary.commit(index, job.image.shared[index].path));
  return {};
}

Status sealSegments(const Job& job, const Sources& sources) {
  for (size_t index = 0; index < job.image.shared.size(); ++index) {
    const uint32_t seals = job.image.shared[index].seals;
    if (seals != 0 && ::fcntl(sources.segments[index], F_ADD_SEALS, seals) != 0)
      return systemError("seals of memory " + job.image.shared[index].name);
  }
  return {};
}

/** What would have sent the content of a memfd to its end, see Opener::ownDescription. */
Status setAppend(const OpenFile& file, int fd) {
  if (file.kind != FileKind::kMemFd || (file.flags & O_APPEND) == 0) return {};
  return ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_APPEND) == 0 ? Status() : systemError("flags of " + file.path);
}

Status setOwner(const Job& job, const OpenFile& file, int fd) {
  if (file.ownerPid == 0 && file.ownerSignal == 0) return {};
  const f_owner_ex owner{static_cast<__pid_type>(file.ownerType), job.numbers(file.ownerPid)};
  if (file.ownerPid != 0 && ::fcntl(fd, F_SETOWN_EX, &owner) != 0 && errno != ESRCH) return systemError("owner of " + file.path);
  if (file.ownerSignal != 0 && ::fcntl(fd, F_SETSIG, file.ownerSignal) != 0) return systemError("signal of " + file.path);
  return {};
}

}  // namespace

Status checkFiles(const Job& job, const Sources& sources) {
  for (size_t index = 0; index < job.image.files.size(); ++index)
    if (job.image.files[index].kind == FileKind::kRegular) BLCR_TRY(checkFile(job, job.image.files[index], sources.files[index]));
  return {};
}

Status commitFiles(Job& job, Sources& sources) {
  for (size_t index = 0; index < job.image.files.size(); ++index) {
    const OpenFile& file = job.image.files[index];
    const int fd = sources.files[index];
    if (isOpenedInside(file)) continue;
    if (file.kind == FileKind::kRegular) BLCR_TRY(rollBack(job, file, fd));
    if (file.kind == FileKind::kInherited) BLCR_TRY(positionStream(job, file, fd));
    if (file.kind == FileKind::kUnlinked) BLCR_TRY(setMode(job, sources, file));
    BLCR_TRY(setAppend(file, fd));
    BLCR_TRY(setOwner(job, file, fd));
  }
  BLCR_TRY(fillFifos(job, sources));
  BLCR_TRY(sources.fifos.commit());
  BLCR_TRY(nameSegments(job, sources));
  BLCR_TRY(removeSegments(job.image));
  return sealSegments(job, sources);
}

Watchers keepWatchers(const Job& job, const Sources& sources) {
  Watchers watchers;
  for (size_t index = 0; index < job.image.files.size(); ++index) {
    const OpenFile& file = job.image.files[index];
    if (file.watches.empty()) continue;
    std::vector<UniqueFd> targets;
    for (const image::InotifyWatch& watch : file.watches) {
      const std::string path = watch.file == image::kNone ? "/" : descriptorPath(sources.files[watch.file]);
      targets.emplace_back(::open(path.c_str(), O_PATH | O_CLOEXEC));
    }
    watchers.push_back({UniqueFd(::fcntl(sources.files[index], F_DUPFD_CLOEXEC, 3)), &file, std::move(targets)});
  }
  return watchers;
}

Status startWatching(const Watchers& watchers) {
  for (const Watcher& watcher : watchers) BLCR_TRY(addWatches(watcher.fd.get(), *watcher.file, watcher.targets));
  return {};
}

Status startTimerFds(const Job& job, const Sources& sources) {
  const Elapsed elapsed{nowNs(CLOCK_REALTIME) - job.image.host.realtimeNs, nowNs() - job.startNs};
  for (size_t index = 0; index < job.image.files.size(); ++index)
    if (job.image.files[index].kind == FileKind::kTimerFd) BLCR_TRY(armTimerFd(sources.files[index], job.image.files[index], elapsed));
  return {};
}

}  // namespace blcr
