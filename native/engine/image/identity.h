// What makes a file on this node the file that the job had mapped on another: its content, told by few bytes.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"

namespace blcr::image {

/**
 * Identity of the open regular file `fd` (its offset is not used): "build-id:<hex>" for an ELF file with a GNU build-id note, else
 * "sha256:<hex>" of the whole content. To be compared together with the size. The read error's errno otherwise.
 */
[[nodiscard]] Result<std::string> contentIdentity(int fd);

/** SHA-256 as hex of bytes in memory. */
[[nodiscard]] std::string sha256(std::span<const std::byte> data);

}  // namespace blcr::image
