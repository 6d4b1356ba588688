// What a checkpoint request means for the processes of this machine.
#pragma once

#include <string>

#include "base/unique_fd.h"
#include "dump/dump.h"

namespace blcr {

/** Full path of an open file; "" for what has none: a pipe, a socket, a file without a name. */
[[nodiscard]] std::string pathOf(int fd);

/** The process at the other end of a local connection; 0 when it lives outside this pid namespace. */
[[nodiscard]] pid_t peerOf(int connection);

/** Which mapped files the context holds, by `flags` (CR_CHKPT_DUMP_*): BLCR's --save-exe, --save-private, --save-shared. */
[[nodiscard]] uint32_t carriedFiles(uint32_t flags);

/**
 * Leaves out, by `flags` (CR_CHKPT_*), processes that are traced or trace others, and those that run with libcr_omit. A traced process
 * that may not be skipped is an error (CR_EPTRACED): it cannot be traced a second time, so PTRACED_ALLOW cannot be honoured.
 */
[[nodiscard]] Status applySkips(DumpRequest& dump, uint32_t flags);

}  // namespace blcr
