#include "restore/locks.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include <optional>

#include "proc/parse.h"

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

/** A POSIX lock belongs to a process and goes when any descriptor of the file is closed: taken by the process itself, at the very end. */
Status takePosixLock(Job& job, const Lock& lock, uint32_t file, const struct flock& wanted) {
  for (Building& building : job.processes) {
    if (!building.isAlive() || building.process->pid != lock.owner) continue;
    for (const image::Descriptor& descriptor : building.process->descriptors) {
      if (descriptor.file != file) continue;
      const auto at = building.leader().putObject(wanted);
      if (!at.ok()) return at.error();
      auto done =
          building.leader().call("locking " + job.image.files[file].path, SYS_fcntl, {uint64_t(descriptor.fd), F_SETLK, at.value()});
      if (!done.ok()) return done.error();
      return {};
    }
  }
  return Error{ENOLCK, job.image.files[file].path + ": the owner of a lock on it is not part of the job"};
}

Status takeLock(Job& job, const std::string& text, uint32_t file, int fd) {
  const auto lock = parseLock(text);
  const std::string& path = job.image.files[file].path;
  if (!lock) return Error{EINVAL, path + ": unintelligible lock " + text};
  struct flock wanted{};
  wanted.l_type = short(lock->type);
  wanted.l_whence = SEEK_SET;
  wanted.l_start = off_t(lock->start);
  wanted.l_len = off_t(lock->length);
  if (lock->kind == "POSIX") return takePosixLock(job, *lock, file, wanted);
  int done = -1;
  errno = ENOTSUP;
  if (lock->kind == "FLOCK") done = ::flock(fd, (lock->type == F_WRLCK ? LOCK_EX : LOCK_SH) | LOCK_NB);
  if (lock->kind == "OFDLCK") done = ::fcntl(fd, F_OFD_SETLK, &wanted);
  if (done != 0) return systemError("locking " + path);
  return {};
}

}  // namespace

Status takeLocks(Job& job, const Sources& sources) {
  for (uint32_t index = 0; index < job.image.files.size(); ++index)
    for (const std::string& lock : job.image.files[index].locks)
      if (sources.files[index] >= 0) BLCR_TRY(takeLock(job, lock, index, sources.files[index]));
  return {};
}

}  // namespace blcr
