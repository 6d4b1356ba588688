// Who else could use a ring of the job while it stands still.
#pragma once

#include "dump/files/record_files.h"

namespace blcr {

/** Refuses a ring that a parent, or a child that is not part of the checkpoint, has open as well. */
[[nodiscard]] Status refuseHeldOutside(const FileContext& context, const FoundDescriptor& found);

}  // namespace blcr
