// Acts that the kernel notes down with the number of whoever did them: SO_PEERCRED, SCM_CREDENTIALS.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "image/model.h"
#include "restore/tasks/stub.h"

namespace blcr {

/**
 * Runs `act` in a short-lived process that shares this one's descriptors but not its memory, working directory or root, and that has the
 * number `pid` when that is free in this namespace (0 = any). `act` gives 0 or an errno value, which becomes the Error's code with `what`.
 * The caller must have one thread.
 */
[[nodiscard]] Status actAs(uint32_t pid, const std::string& what, const std::function<int()>& act);

/** The same, in a process that looks like `who` to the other end of a socket, pid 0 = like this one. What it may do is not changed: an
 * ordinary user, who cannot choose groups, keeps those of this login. EPERM: other ids cannot be had here. */
[[nodiscard]] Status actAs(const image::PeerCredentials& who, const std::string& what, const std::function<int()>& act);

/** The same, in a task of the job that has its number, and credentials that are still this process's own. */
[[nodiscard]] Status actIn(Stub& stub, const image::PeerCredentials& who, const std::function<Status()>& act);

/** Inside an act: an empty root of its own with `directory` (absolute) as working directory, and with room for a file called `path`. 0 or
 * an errno value. */
[[nodiscard]] int enterEmptyRoot(const std::string& path, const std::string& directory);

}  // namespace blcr
