#include "common/destination.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

namespace blcr::tools {

namespace {
constexpr mode_t kContextMode = 0400;  // as BLCR: a context is never changed

/** The first of PATH.~1~, PATH.~2~, … that does not exist. */
std::string freeBackupName(const std::string& path) {
  struct stat status{};
  std::string name;
  int number = 1;
  do {
    name = path + ".~" + std::to_string(number++) + "~";
  } while (::stat(name.c_str(), &status) == 0);
  return name;
}
}  // namespace

bool Destination::open(const std::string& path, int flags) {
  file_.reset(::open(path.c_str(), O_WRONLY | O_CLOEXEC | flags, kContextMode));
  error_ = file_ ? 0 : errno;
  return bool(file_);
}

bool Destination::openFile(const std::string& path, Replacement replacement, const std::string& backup) {
  struct stat status{};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  if (exists && replacement == Replacement::kNoClobber) {
    error_ = EEXIST;
    return false;
  }
  if (exists && !S_ISREG(status.st_mode)) return open(path, 0);  // a FIFO waits for its reader
  if (replacement == Replacement::kNoClobber) return open(path, O_CREAT | O_EXCL);
  if (replacement == Replacement::kClobber) {
    // A context is read-only, so an old one cannot just be opened again.
    if (exists && ::unlink(path.c_str()) != 0) {
      error_ = errno;
      return false;
    }
    return open(path, O_CREAT | O_EXCL);
  }
  path_ = path;
  backup_ = exists && replacement == Replacement::kBackup ? (backup.empty() ? freeBackupName(path) : backup) : "";
  temporary_ = path + ".tmp-" + std::to_string(::getpid());
  if (open(temporary_, O_CREAT | O_EXCL)) return true;
  temporary_.clear();
  return false;
}

void Destination::useDescriptor(int fd) { borrowed_ = fd; }

bool Destination::commit(bool sync) {
  struct stat status{};
  const bool regular = ::fstat(fd(), &status) == 0 && S_ISREG(status.st_mode);
  const bool durable = !sync || !regular || ::fsync(fd()) == 0;
  const bool kept = durable && (backup_.empty() || ::rename(path_.c_str(), backup_.c_str()) == 0);
  const bool named = kept && (temporary_.empty() || ::rename(temporary_.c_str(), path_.c_str()) == 0);
  error_ = named ? 0 : errno;
  if (named) temporary_.clear();
  return named;
}

Destination::~Destination() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

}  // namespace blcr::tools
