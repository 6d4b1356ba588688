#include "proc/file_system.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/io.h"
#include "proc/parse.h"

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000u  // linux/stat.h
#endif

namespace blcr {

uint32_t kernelDevice(dev_t device) { return uint32_t(major(device) << 20 | minor(device)); }

/** Source: proc(5), mountinfo: number, parent's number, major:minor, … */
uint32_t deviceOfMount(std::string_view mountinfo, uint64_t id) {
  while (!mountinfo.empty()) {
    std::string_view line = takeLine(mountinfo), number = takeField(line);
    if (takeNumber(number, 10) != id) continue;
    takeField(line);
    std::string_view device = takeField(line);
    const auto high = takeNumber(device, 10);
    if (!high || !device.starts_with(':')) return 0;
    device.remove_prefix(1);
    return uint32_t(*high << 20 | takeNumber(device, 10).value_or(0));
  }
  return 0;
}

bool isOnFileSystem(const std::string& path, dev_t statDevice, uint32_t device) {
  if (kernelDevice(statDevice) == device) return true;
  struct statx info{};
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, STATX_MNT_ID, &info) != 0) return true;
  if ((info.stx_mask & STATX_MNT_ID) == 0) return true;
  const auto mounts = readFile("/proc/self/mountinfo");
  if (!mounts.ok()) return true;
  const uint32_t found = deviceOfMount(mounts.value(), info.stx_mnt_id);
  return found == 0 || found == device;
}

}  // namespace blcr
