// How much memory a snapshot may cost.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace blcr {

/**
 * Bytes that can still be allocated before a limit is met: the least of MemAvailable and, for every memory cgroup (v2 or v1) from that of
 * `pid` upwards, limit − usage + inactive file cache. UINT64_MAX when nothing is known. About 50 us; any thread.
 */
[[nodiscard]] uint64_t availableMemory(pid_t pid);

/** Anonymous resident bytes of the processes, from /proc/PID/status: what a snapshot costs at most. */
[[nodiscard]] uint64_t anonymousMemory(const std::vector<pid_t>& pids);

/** A field such as "MemAvailable:   123 kB" in bytes, 0 when absent. Exposed for tests. */
[[nodiscard]] uint64_t kilobyteField(const char* text, const char* key);

}  // namespace blcr
