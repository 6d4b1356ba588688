#include "dump/memory/identity.h"

#include <fcntl.h>

#include <map>
#include <mutex>
#include <tuple>

#include "base/unique_fd.h"
#include "image/identity.h"

namespace blcr {
namespace {

using Key = std::tuple<dev_t, ino_t, off_t, int64_t>;

Key keyOf(const struct stat& info) {
  return {info.st_dev, info.st_ino, info.st_size, int64_t(info.st_mtim.tv_sec) * 1000000000 + info.st_mtim.tv_nsec};
}

}  // namespace

Result<std::string> fileIdentity(const std::string& path, const struct stat& expected) {
  static std::mutex mutex;
  static std::map<Key, std::string> cache;
  {
    const std::lock_guard lock(mutex);
    const auto known = cache.find(keyOf(expected));
    if (known != cache.end()) return known->second;
  }
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return systemError(path);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return systemError(path);
  if (info.st_ino != expected.st_ino || info.st_dev != expected.st_dev) return Error{ESTALE, path + ": was replaced during the checkpoint"};
  auto identity = image::contentIdentity(fd.get());
  if (!identity) return Error{identity.error().code, path + ": " + identity.error().detail};
  const std::lock_guard lock(mutex);
  return cache[keyOf(info)] = *identity;
}

}  // namespace blcr
