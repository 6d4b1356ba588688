// The job's own view of the file system: /proc of its pid namespace, and old paths that lead to new places.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "restore/restore.h"

namespace blcr {

/** Mounts of this (own) mount namespace no longer reach others. */
[[nodiscard]] Status isolateMounts();

/** A /proc of this pid namespace, whose numbers are the job's own. Where the host's is masked (containers) the kernel refuses: EPERM. */
[[nodiscard]] Status mountProc();

/**
 * Bind-mounts `to` over `from` for every pair. A missing mount point is made: a tmpfs takes the place of the nearest existing ancestor,
 * whose entries are bound back into it. ENOENT names a missing `to`; EPERM and others name the mount that failed.
 */
[[nodiscard]] Status bindPaths(const std::vector<PathPair>& pairs);

}  // namespace blcr
