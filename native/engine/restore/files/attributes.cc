#include "restore/files/attributes.h"

#include <sys/xattr.h>

#include "base/io.h"

namespace blcr {

void setAttributes(int fd, const std::vector<image::Attribute>& attributes, bool lists, const std::string& file, Log& log) {
  for (const image::Attribute& each : attributes) {
    if (each.name.starts_with("system.") != lists) continue;
    if (::fsetxattr(fd, each.name.c_str(), each.value.data(), each.value.size(), 0) != 0)
      log.line(systemError(file + ": attribute " + each.name + " cannot be set here").detail);
  }
}

}  // namespace blcr
