#include "protocol/address.h"

#include <sys/stat.h>

#include <cstddef>
#include <cstdio>

namespace blcr {

namespace {

Result<KeeperAddress> addressOf(const char* role, uid_t uid, pid_t pid) {
  struct stat space{};
  if (::stat("/proc/self/ns/pid", &space) != 0) return systemError("/proc/self/ns/pid");
  KeeperAddress result;
  result.address.sun_family = AF_UNIX;
  char* path = result.address.sun_path + 1;  // a leading NUL makes it abstract
  const int written = std::snprintf(path, sizeof result.address.sun_path - 1, "node-blcr%s/%u/%llu/%d", role, unsigned(uid),
                                    static_cast<unsigned long long>(space.st_ino), int(pid));
  result.length = socklen_t(offsetof(sockaddr_un, sun_path) + 1 + size_t(written));
  return result;
}

}  // namespace

Result<KeeperAddress> keeperAddress(uid_t uid, pid_t pid) { return addressOf("", uid, pid); }
Result<KeeperAddress> clientAddress(pid_t pid) { return addressOf("/client", 0, pid); }
Result<KeeperAddress> askedAddress(pid_t pid) { return addressOf("/asked", 0, pid); }

}  // namespace blcr
