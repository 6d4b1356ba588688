// Copies of the descriptors of frozen processes, where pidfd_getfd is forbidden.
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "dump/frozen.h"

namespace blcr {

/** kcmp(2) answers. Filters of containers forbid it, as they do with pidfd_getfd. False with BLCR_DISABLE=kcmp. */
[[nodiscard]] bool mayCompare();
/** pidfd_getfd(2) answers. False with BLCR_DISABLE=pidfd. */
[[nodiscard]] bool mayBorrow();
/** Those of a process whose main thread has ended are had through another thread (PIDFD_THREAD), which Linux 6.9 allows. False with
 * BLCR_DISABLE=pidfd_thread. */
[[nodiscard]] bool mayBorrowOfThreads(const std::deque<FrozenProcess>& processes);
/** A pidfd of a process, or of one of its threads. Empty, with errno, when there is none. */
[[nodiscard]] UniqueFd openTask(pid_t pid, pid_t task);

/** Processes send their descriptors to a socket of ours (SCM_RIGHTS), by injected calls. While this lives, this process may have as many
 * descriptors as its hard limit says. */
class Lending {
 public:
  Lending() = default;
  Lending(const Lending&) = delete;
  Lending& operator=(const Lending&) = delete;
  ~Lending();
  [[nodiscard]] Status open();

  /** One for each of `fds`, in their order; empty for what cannot be sent (io_uring). The process needs one free descriptor meanwhile. */
  [[nodiscard]] Result<std::vector<UniqueFd>> take(FrozenProcess& process, std::span<const int> fds);

 private:
  [[nodiscard]] Status receive(pid_t from, std::span<UniqueFd> into) const;

  UniqueFd socket_;
  std::string address_;
  rlimit before_{};
};

}  // namespace blcr
