#include "inherited.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

namespace blcr {

void closeInherited() {
  DIR* const directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return;
  std::vector<int> inherited;
  while (const dirent* entry = ::readdir(directory)) {
    const int fd = std::atoi(entry->d_name);
    const int flags = fd >= 3 ? ::fcntl(fd, F_GETFD) : -1;
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) inherited.push_back(fd);
  }
  ::closedir(directory);
  for (const int fd : inherited) ::close(fd);
}

bool claimDescriptor(int fd) { return ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0; }

void fillStandardDescriptors() {
  for (int fd = 0; fd < 3; ++fd) {
    // The lowest free number is this one: those below it are open by now.
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) < 0) return;
  }
}

}  // namespace blcr
