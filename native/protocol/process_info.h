// What /proc says about a process, as far as a requester needs it.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace blcr {

struct ProcessInfo {
  std::string name;  // comm
  char state = '?';
  pid_t parent = 0;
  uid_t uid = 0;  // effective
  bool kernelThread = false;
  bool ending = false;  // in exit(2) already
  bool ended = false;   // a zombie, and no other thread is left
  // The process's own view of its numbers: last column of NSpid, NSpgid, NSsid (Linux 4.1; before that the caller's numbers).
  pid_t innerPid = 0, innerGroup = 0, innerSession = 0;
};

/** ESRCH when the process is gone. Source: proc(5). */
[[nodiscard]] Result<ProcessInfo> readProcess(pid_t pid);

}  // namespace blcr
