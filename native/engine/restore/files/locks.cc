#include "restore/files/locks.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include <optional>

#include "proc/parse.h"
#include "restore/sockets/actor.h"

namespace blcr {
namespace {

/** "FLOCK WRITE 123 0 EOF": kind, mode, owner, first and last byte. Source: proc(5), fdinfo and /proc/locks. */
struct Lock {
  std::string_view kind;
  int type = F_RDLCK;
  int32_t owner = 0;
  uint64_t start = 0, length = 0;  // length 0: to the end of the file
};

std::optional<Lock> parseLock(std::string_view text) {
  Lock lock;
  lock.kind = takeField(text);
  lock.type = takeField(text) == "WRITE" ? F_WRLCK : F_RDLCK;
  skipBlanks(text);
  if (!takeChar(text, '-'))
    lock.owner = int32_t(takeNumber(text, 10).value_or(0));
  else
    takeNumber(text, 10);
  skipBlanks(text);
  const auto start = takeNumber(text, 10);
  if (!start) return std::nullopt;
  lock.start = *start;
  const std::string_view last = takeField(text);
  if (last == "EOF") return lock;
  std::string_view digits = last;
  const auto end = takeNumber(digits, 10);
  if (!end || *end < lock.start) return std::nullopt;
  lock.length = *end - lock.start + 1;
  return lock;
}

/** A POSIX lock belongs to a process and goes when any descriptor of the file is closed, a lease is told of by a signal to the one who took
 * it, with the descriptor: taken by the process itself, at the very end. */
Status takeOwnLock(Job& job, const Lock& lock, uint32_t file, const struct flock& wanted) {
  for (Building& building : job.processes) {
    if (!building.isAlive() || building.process->pid != lock.owner) continue;
    for (const image::Descriptor& descriptor : building.process->descriptors) {
      if (descriptor.file != file) continue;
      const std::string what = "locking " + job.image.files[file].path;
      if (lock.kind == "LEASE")
        return done(building.leader().call(what, SYS_fcntl, {uint64_t(descriptor.fd), F_SETLEASE, uint64_t(lock.type)}));
      const auto at = building.leader().putObject(wanted);
      if (!at.ok()) return at.error();
      return done(building.leader().call(what, SYS_fcntl, {uint64_t(descriptor.fd), F_SETLK, at.value()}));
    }
  }
  return Error{ENOLCK, job.image.files[file].path + ": the owner of a lock on it is not part of the job"};
}

/** It belongs to the description, but the kernel shows who took it: who may have closed it since, or have ended. */
Status takeWholeLock(Job& job, const Lock& lock, const std::string& path, int fd) {
  const std::string what = "locking " + path;
  const int how = (lock.type == F_WRLCK ? LOCK_EX : LOCK_SH) | LOCK_NB;
  for (Building& building : job.processes)
    if (building.process->pid == lock.owner && !building.tasks.empty())
      return done(building.leader().call(what, SYS_flock, {uint64_t(fd), uint64_t(how)}));
  return actAs(job.request.restorePid ? uint32_t(lock.owner) : 0, what, [fd, how] { return ::flock(fd, how) == 0 ? 0 : errno; });
}

Status takeRange(Job& job, const Lock& lock, uint32_t file, int fd) {
  struct flock wanted{};
  wanted.l_type = short(lock.type);
  wanted.l_whence = SEEK_SET;
  wanted.l_start = off_t(lock.start);
  wanted.l_len = off_t(lock.length);
  if (lock.kind == "POSIX" || lock.kind == "LEASE") return takeOwnLock(job, lock, file, wanted);
  errno = ENOTSUP;
  if (lock.kind != "OFDLCK" || ::fcntl(fd, F_OFD_SETLK, &wanted) != 0) return systemError("locking " + job.image.files[file].path);
  return {};
}

Status takeAll(Job& job, const Sources& sources, bool whole) {
  for (uint32_t index = 0; index < job.image.files.size(); ++index) {
    const image::OpenFile& file = job.image.files[index];
    for (const std::string& text : file.locks) {
      const auto lock = parseLock(text);
      if (!lock) return Error{EINVAL, file.path + ": unintelligible lock " + text};
      const int fd = sources.files[index];
      if (fd < 0 || (lock->kind == "FLOCK") != whole) continue;
      BLCR_TRY(whole ? takeWholeLock(job, *lock, file.path, fd) : takeRange(job, *lock, index, fd));
    }
  }
  return {};
}

}  // namespace

Status takeWholeLocks(Job& job, const Sources& sources) { return takeAll(job, sources, true); }

Status takeRangeLocks(Job& job, const Sources& sources) { return takeAll(job, sources, false); }

}  // namespace blcr
