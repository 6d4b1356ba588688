// io_urings that a task has registered for itself (io_uring_register_ring_fd): it may have no descriptor of them, and nobody is shown them.
#pragma once

#include <vector>

#include "arch/x86_64/batch.h"
#include "dump/frozen.h"

namespace blcr {

class RegisteredRings {
 public:
  explicit RegisteredRings(size_t tasks) : users_(tasks) {}
  /** A call for each task's batch: what it answers differs where the task has used an io_uring. */
  [[nodiscard]] static RemoteCall look();
  void take(size_t task, const RemoteCall& look);
  /** Refuses a process of which a task has registered one. It must have its foothold. */
  [[nodiscard]] Status check(FrozenProcess& process) const;

 private:
  std::vector<bool> users_;
};

}  // namespace blcr
