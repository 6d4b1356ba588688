// What sockets have yet to read.
#pragma once

#include "restore/files/sources.h"
#include "restore/job.h"
#include "restore/sockets/socket_doors.h"

namespace blcr {

/** Sends every recorded message again, from where it came. ENOBUFS when one does not fit. */
[[nodiscard]] Status fillQueues(Job& job, const Sources& sources, const SocketDoors& doors);

}  // namespace blcr
