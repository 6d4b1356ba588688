// inotify instances.
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/io.h"
#include "restore/files/objects.h"

namespace blcr {
namespace {

constexpr unsigned long kSetNextWatch = _IOW('I', 0, int32_t);  // INOTIFY_IOC_SETNEXTWD, linux/inotify.h
constexpr int32_t kMaxCycles = 100000;

/** Numbers ascend: without the ioctl those in between are made and removed, which leaves events behind. */
Status addWithNumber(int fd, const image::InotifyWatch& watch, const std::string& path) {
  static_cast<void>(::ioctl(fd, kSetNextWatch, watch.number));
  // What is watched is what has that name itself: of a symbolic link, the link.
  const uint32_t found = watch.file == image::kNone ? IN_DONT_FOLLOW : 0;
  const uint32_t mask = (watch.mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK | IN_ONLYDIR)) | found;
  for (int32_t cycle = 0; cycle < kMaxCycles; ++cycle) {
    const int number = ::inotify_add_watch(fd, path.c_str(), mask);
    if (number < 0) return systemError("watching " + path);
    if (number == watch.number) return {};
    ::inotify_rm_watch(fd, number);
    if (number > watch.number) break;
  }
  return Error{ENOTSUP, "watch " + std::to_string(watch.number) + " of " + path + ": this kernel does not give it its number back"};
}

}  // namespace

Result<UniqueFd> makeInotify(const image::OpenFile& file) {
  for (const image::InotifyWatch& watch : file.watches)
    if (watch.file == image::kNone && ::faccessat(AT_FDCWD, watch.path.c_str(), R_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) != 0)
      return systemError("watched file " + watch.path);
  UniqueFd fd(::inotify_init1(IN_CLOEXEC | (file.flags & O_NONBLOCK)));
  if (!fd) return systemError("inotify");
  return fd;
}

Status addWatches(int fd, const image::OpenFile& file, const std::vector<UniqueFd>& targets) {
  for (size_t index = 0; index < file.watches.size(); ++index) {
    const bool named = file.watches[index].file == image::kNone;
    const std::string path = named ? file.watches[index].path : descriptorPath(targets[index].get());
    BLCR_TRY(addWithNumber(fd, file.watches[index], path));
  }
  char events[4096];
  int waiting = 0;
  while (::ioctl(fd, FIONREAD, &waiting) == 0 && waiting > 0 && ::read(fd, events, sizeof events) > 0) {
  }
  return {};
}

}  // namespace blcr
