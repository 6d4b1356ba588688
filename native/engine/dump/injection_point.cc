#include "dump/injection_point.h"

#include <string>

#include "arch/x86_64/vdso.h"
#include "base/codes.h"

namespace blcr {

Result<uint64_t> injectionPoint(pid_t pid, std::span<const Mapping> maps) {
  for (const Mapping& mapping : maps) {
    if (mapping.path == "[vdso]") return findSyscall(RemoteMemory(pid), mapping.start, mapping.end);
  }
  return Error{kErrorNoSupport, "process " + std::to_string(pid) + " has no vdso"};
}

}  // namespace blcr
