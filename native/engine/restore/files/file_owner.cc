#include "restore/files/file_owner.h"

#include <sys/stat.h>
#include <unistd.h>

namespace blcr {

Status giveToOwner(int fd, const image::FileOwner& owner, const std::string& what, Log& log) {
  struct stat now{};
  if (owner.uid == image::kNone) return {};
  if (::fstat(fd, &now) != 0) return systemError(what);
  // The group by itself, and first: a terminal's often is one that a user namespace does not have, and nobody but root chose it.
  if (now.st_gid != owner.gid) static_cast<void>(::fchown(fd, uid_t(-1), owner.gid));
  if (now.st_uid == owner.uid || ::fchown(fd, owner.uid, gid_t(-1)) == 0) return {};
  if (::geteuid() == 0) return Error{errno, what + " cannot be given to user " + std::to_string(owner.uid)};
  log.line(what + ": belonged to user " + std::to_string(owner.uid) + ", who is not in this namespace");
  return {};
}

}  // namespace blcr
