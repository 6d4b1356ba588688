// Kernel features that can be switched off, so that every fall-back is tested on a kernel that would not need it.
#pragma once

#include <string_view>

namespace blcr {

/**
 * False when $BLCR_DISABLE (comma-separated names) contains `name`. Names in use: pagemap_scan, rseq_config, pidfd, kcmp, process_vm,
 * batch, pidfd_thread, close_range, tid_address, vmsplice, sock_diag, fork, same_vdso, vdso_move, vdso_return, next_id, eventfd_semaphore,
 * filter_probe, timer_ids. Read at each call: tests change the variable.
 */
[[nodiscard]] bool featureAllowed(std::string_view name);

}  // namespace blcr
