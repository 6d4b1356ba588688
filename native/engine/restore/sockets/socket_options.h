// Options of sockets, put back.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "image/model.h"

namespace blcr {

/** Those that decide how a socket is bound or how much it can hold. What fails here fails again, and is reported, in setOptions. */
void setEarlyOptions(int fd, const image::Socket& socket);

/** All that differ from what the socket has now. EPERM and others name the option. What only concerns speed is logged. */
[[nodiscard]] Status setOptions(int fd, const image::Socket& socket, Log& log);

}  // namespace blcr
