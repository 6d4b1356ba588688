#include "dump/files/attributes.h"

#include <sys/xattr.h>

namespace blcr {
namespace {

/** What `get(nullptr, 0)` says is needed, and then is filled; empty when there is nothing. */
template <typename Get>
std::string sized(const Get& get) {
  const ssize_t length = get(nullptr, 0);
  std::string text(length > 0 ? size_t(length) : 0, '\0');
  const ssize_t got = text.empty() ? 0 : get(text.data(), text.size());
  text.resize(got > 0 ? size_t(got) : 0);
  return text;
}

}  // namespace

std::vector<image::Attribute> readAttributes(int fd) {
  std::vector<image::Attribute> found;
  const std::string names = sized([fd](char* into, size_t size) { return ::flistxattr(fd, into, size); });
  for (size_t from = 0; from < names.size(); from += found.back().name.size() + 1) {
    found.push_back({names.c_str() + from, {}});
    const char* name = found.back().name.c_str();
    found.back().value = sized([&](char* into, size_t size) { return ::fgetxattr(fd, name, into, size); });
  }
  std::erase_if(found,
                [](const image::Attribute& each) { return !each.name.starts_with("user.") && each.name != "system.posix_acl_access"; });
  return found;
}

}  // namespace blcr
