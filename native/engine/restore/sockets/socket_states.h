// The last step of sockets: names in the file system, queues, half-closed ends, listening, options.
#pragma once

#include "restore/files/sources.h"
#include "restore/job.h"

namespace blcr {

/**
 * After the trailer, when the processes have their descriptors. Socket files are made here; a file that an earlier life left behind is
 * replaced. On failure those that were made are removed again. EADDRINUSE: somebody listens at the path; EEXIST: a file that is no socket
 * is in the way; others of bind(2), connect(2), setsockopt(2).
 */
[[nodiscard]] Status finishSockets(Job& job, Sources& sources);

/** Names with relocated paths. ENAMETOOLONG names one that does not fit an address any more. */
[[nodiscard]] Status relocateSockets(image::Image& image, const RestoreRequest& request);

}  // namespace blcr
