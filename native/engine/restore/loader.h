// Memory and file content: taken from the stream, put straight where it belongs.
#pragma once

#include "restore/files/sources.h"
#include "restore/job.h"

namespace blcr {

/**
 * Reads PAGE and FILE frames until the verified trailer. Areas that are not writable are opened for the time and closed again. EINVAL when
 * a frame names memory or content that the metadata does not, EIO and EINVAL of image::Reader.
 */
[[nodiscard]] Status loadContent(Job& job, image::Reader& reader, const Sources& sources);

}  // namespace blcr
