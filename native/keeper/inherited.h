// Descriptors that the keeper was started with.
#pragma once

namespace blcr {

/** Closes every descriptor from 3 on that lives beyond exec, i.e. that was inherited and is not the keeper's own: else the keeper would
 * hold the job's pipes open. */
void closeInherited();
/** Marks `fd` close-on-exec; false when it is not open. */
[[nodiscard]] bool claimDescriptor(int fd);
/** Opens /dev/null in place of closed standard descriptors, so that nothing of the keeper's gets their numbers. */
void fillStandardDescriptors();

}  // namespace blcr
