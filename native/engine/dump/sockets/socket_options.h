// Options of a socket as the program set them.
#pragma once

#include <vector>

#include "base/result.h"
#include "image/model.h"

namespace blcr {

/**
 * Everything that getsockopt tells of a socket of this domain, type and protocol and that setsockopt takes back. Options that this kernel
 * does not know are left out. kErrorNoSupport names one that cannot be carried (an eBPF filter, encryption inside the kernel).
 */
[[nodiscard]] Result<std::vector<image::SocketOption>> readSocketOptions(int fd, int domain, int type, int protocol);

}  // namespace blcr
