// The System V objects of this IPC namespace, as /proc/sysvipc has them.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace blcr {

enum class IpcKind { kSegment, kSemaphores, kQueue };

/** One line. Source: proc(5), sysvipc. */
struct IpcObject {
  int32_t key = 0, id = -1;
  uint32_t mode = 0;  // permissions, and of segments SHM_DEST and SHM_LOCKED
  uint64_t size = 0;  // bytes of a segment, semaphores of a set, bytes in a queue
  uint64_t attached = 0;
  pid_t first = 0, second = 0;  // who made and who last used a segment; last sender and receiver of a queue
  int64_t firstTime = 0, secondTime = 0, changed = 0;
  uint32_t uid = 0, gid = 0, creatorUid = 0;

  [[nodiscard]] int64_t lastTime() const { return std::max({firstTime, secondTime, changed}); }
};

/** "System V semaphore set 7" and the like. */
[[nodiscard]] std::string nameOf(IpcKind kind, int id);

/** Lines that do not look as they should are left out. */
[[nodiscard]] std::vector<IpcObject> parseIpcTable(IpcKind kind, std::string_view text);

/** The table in /proc. Empty, too, when this kernel has no such objects. */
[[nodiscard]] std::vector<IpcObject> readIpcTable(IpcKind kind);

/** The same objects one by one, which takes a third of the time; those that the kernel tells nothing of are left out. */
[[nodiscard]] std::vector<IpcObject> askIpcObjects(IpcKind kind);

/** All objects, in whichever way is the quicker one here: this is asked while the job is stopped. */
[[nodiscard]] std::vector<IpcObject> findIpcObjects(IpcKind kind);

}  // namespace blcr
