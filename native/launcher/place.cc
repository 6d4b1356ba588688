#include "place.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>

#ifndef MFD_EXEC  // Linux 6.3
#define MFD_EXEC 0x10U
#endif

namespace blcr::launcher {

namespace {

constexpr mode_t kMode = 0700;

Result<UniqueFd> createInMemory(const char* name) {
  UniqueFd file(::memfd_create(name, MFD_CLOEXEC | MFD_EXEC));
  if (!file && errno == EINVAL) file.reset(::memfd_create(name, MFD_CLOEXEC));  // the flag is newer than the call
  if (!file) return systemError("memfd_create");
  return file;
}

/** For file systems without O_TMPFILE, such as NFS: the name exists for an instant only. */
Result<UniqueFd> createAndUnlink(const std::string& directory) {
  std::string path = directory + "/.blcr-XXXXXX";
  UniqueFd file(::mkostemp(path.data(), O_CLOEXEC));
  if (!file) return systemError("create a file");
  ::unlink(path.c_str());
  if (::fchmod(file.get(), kMode) != 0) return systemError("make it executable");
  return file;
}

Result<UniqueFd> createInDirectory(const std::string& directory) {
  UniqueFd file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kMode));
  if (!file && errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) return systemError("create a file");
  if (file) return file;
  return createAndUnlink(directory);
}

/** So that a full disk is known before it is written to. */
Status reserve(int fd, uint64_t size) {
  if (::fallocate(fd, 0, 0, static_cast<off_t>(size)) == 0 || errno == EOPNOTSUPP || errno == ENOSYS) return {};
  return systemError("no room for " + std::to_string(size >> 20) + " MiB");
}

}  // namespace

std::vector<Place> possiblePlaces() {
  std::vector<Place> places;
  const auto add = [&places](const char* directory) {
    const bool isUsable = directory != nullptr && *directory == '/';
    if (isUsable && std::ranges::none_of(places, [=](const Place& place) { return place.directory == directory; }))
      places.push_back({directory});
  };
  add(::getenv("_CONDOR_SCRATCH_DIR"));
  add(::getenv("TMPDIR"));
  add("/tmp");
  places.push_back({});
  return places;
}

Result<UniqueFd> createFile(const Place& place, const char* name, uint64_t size) {
  auto file = place.directory.empty() ? createInMemory(name) : createInDirectory(place.directory);
  if (!file) return file;
  struct statvfs system{};
  // What memfd_create makes is on a mount of the kernel's own, which is noexec for paths only.
  const bool mayExecute = place.directory.empty() || ::fstatvfs(file->get(), &system) != 0 || (system.f_flag & ST_NOEXEC) == 0;
  if (!mayExecute) return Error{EACCES, "mounted noexec"};
  BLCR_TRY(reserve(file->get(), size));
  return file;
}

Result<UniqueFd> reopenForExecution(UniqueFd file) {
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  UniqueFd readable(::open(path.c_str(), O_RDONLY));
  if (!readable) return systemError("open " + path);
  return readable;
}

}  // namespace blcr::launcher
