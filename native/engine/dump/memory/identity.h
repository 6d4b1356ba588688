// What a mapped file is, told by its content: device, inode and times never match on another node.
#pragma once

#include <sys/stat.h>

#include <string>

#include "base/result.h"

namespace blcr {

/**
 * "build-id:<hex>" of an ELF file that has one, else "sha256:<hex>". Reads the whole file in the latter case, so never inside a stop.
 * Results are kept by device, inode, size and mtime for the life of this process. Thread-safe. Errors name the path; ESTALE when the file
 * is not the one that `expected` describes.
 */
[[nodiscard]] Result<std::string> fileIdentity(const std::string& path, const struct stat& expected);

}  // namespace blcr
