// Landlock: what a program has forbidden itself, which the kernel shows to nobody.
#pragma once

#include <vector>

#include "arch/x86_64/batch.h"
#include "dump/frozen.h"
#include "image/model.h"

namespace blcr {

/**
 * Finds it out by what it forbids as well: a look at a process that the task may look at otherwise. Asked of tasks that may have restricted
 * themselves, which takes no_new_privs or a capability.
 */
class Restrictions {
 public:
  Restrictions() = default;
  Restrictions(const Restrictions&) = delete;
  Restrictions& operator=(const Restrictions&) = delete;
  ~Restrictions();

  /** A call for each task's batch: its look at us. Where that cannot tell anything, one that always succeeds. */
  [[nodiscard]] static RemoteCall look();
  [[nodiscard]] static bool isBarred(const RemoteCall& look);

  /** Refuses a process of which a task has restricted itself. It must have its foothold, and `recorded` its tasks and credentials. */
  [[nodiscard]] Status check(FrozenProcess& process, const image::Process& recorded, const std::vector<bool>& barred);

 private:
  [[nodiscard]] static Result<bool> mayLookAt(FrozenProcess& process, size_t index, pid_t other);
  void makeOther(const image::Credentials& like);
  pid_t other_ = -1;  // 0 = there is none, and so no answer
};

}  // namespace blcr
