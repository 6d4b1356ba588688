// Options that few programs set, and not every kernel knows.
#pragma once

#include <vector>

#include "image/model.h"

namespace blcr {

/**
 * Those in which this socket differs from one that was just made: what nobody has set is left to the host of the restart, which may not
 * know the option. `isConnection`: a TCP connection, whose window the kernel limits by itself.
 */
void readRareOptions(int fd, int domain, int type, int protocol, bool isConnection, std::vector<image::SocketOption>& into);

}  // namespace blcr
