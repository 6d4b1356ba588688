// What must hold in every Image before restore/ may use it.
#pragma once

#include "base/result.h"
#include "image/model.h"

namespace blcr::image {

/**
 * Cross checks of an Image: indices in range, numbers unique, parents before children, areas page-aligned, sorted and apart, raw kernel
 * structures of the right size. EINVAL names the process and the member. The dump calls it too: a context that cannot be read back is
 * refused while the job still runs.
 */
[[nodiscard]] Status validate(const Image& image);

/** A process, thread, process group or session of the image has `number`. */
[[nodiscard]] bool isNumberOfJob(const Image& image, int32_t number);

}  // namespace blcr::image
