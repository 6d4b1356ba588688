// Which file system a path is on, as the kernel numbers them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace blcr {

/** A device as it occurs in fdinfo and sock_diag: major << 20 | minor. */
[[nodiscard]] uint32_t kernelDevice(dev_t device);

/** The device of mount `id` in the text of /proc/PID/mountinfo; 0 when it has none of that number. */
[[nodiscard]] uint32_t deviceOfMount(std::string_view mountinfo, uint64_t id);

/**
 * Whether `path` (no symbolic link is followed at its end), whose stat tells `statDevice`, is on the file system `device`. Some file
 * systems tell another device by stat than the kernel uses: then the mount decides, or, where it is not told (before Linux 5.8), nothing.
 */
[[nodiscard]] bool isOnFileSystem(const std::string& path, dev_t statDevice, uint32_t device);

}  // namespace blcr
