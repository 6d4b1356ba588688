// Restart of a context: from a stream to running processes with their old numbers.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "image/model.h"
#include "image/stream.h"

namespace blcr {

enum class FilePolicy : uint32_t { kRollback = 0, kKeep = 1, kRefuse = 2 };

struct PathPair {
  std::string from, to;
};

struct RestoreRequest {
  int inputFd = -1;                // borrowed; read once, front to end
  std::vector<PathPair> relocate;  // prefixes of cwd, open and mapped files
  std::vector<PathPair> binds;     // `to` is bind-mounted over `from` in the job's mount namespace
  int stdioFds[3] = {0, 1, 2};     // replace descriptions recorded as kInherited
  FilePolicy files = FilePolicy::kRollback;
  bool restorePid = true;  // false: new numbers are taken (several copies at once)
  int signal = 0;          // sent to every restored process after it was let go
};

struct RestoreResult {
  pid_t root = 0;  // the job's root, a child of the caller
  uint32_t processes = 0, threads = 0;
  uint64_t bytes = 0, totalUs = 0;
};

/** First half, in the outer process (before namespaces exist): reads and checks HEAD and META, compares CPU, kernel and files' identity
 * with this host. */
struct RestorePlan {
  image::Image image;
  image::Reader reader;
};
[[nodiscard]] Result<RestorePlan> readPlan(const RestoreRequest& request, Log& log);

/**
 * Enters new namespaces as the image needs them (user unless privileged; pid, mount, time) and forks: returns 0 in the child, which is pid
 * 1 of the new pid namespace with its own /proc, binds done and clocks shifted; the child's pid in the parent. EPERM/ENOSPC/… say what this
 * host forbids.
 */
[[nodiscard]] Result<pid_t> enterNamespaces(const RestorePlan& plan, const RestoreRequest& request, Log& log);

/**
 * Second half, in pid 1: builds every process, loads memory, verifies the trailer, and only then touches files (rollback) and lets the job
 * run. On failure everything built is killed; nothing outside the namespace was changed.
 */
[[nodiscard]] Result<RestoreResult> restore(RestorePlan& plan, const RestoreRequest& request, Log& log);

}  // namespace blcr
