#include "dump/injection_point.h"

#include <elf.h>

#include <string>

#include "arch/x86_64/vdso.h"
#include "base/codes.h"

namespace blcr {

static bool isOf32Bits(const RemoteMemory& memory, uint64_t library) {
  const auto kind = memory.get<unsigned char>(library + EI_CLASS);
  return kind.ok() && kind.value() == ELFCLASS32;
}

Result<uint64_t> injectionPoint(pid_t pid, std::span<const Mapping> maps) {
  for (const Mapping& mapping : maps) {
    if (mapping.path != "[vdso]") continue;
    const RemoteMemory memory(pid);
    if (isOf32Bits(memory, mapping.start))
      return Error{kErrorNoSupport, "process " + std::to_string(pid) + " runs a program of 32 bits, which is not supported"};
    return findSyscall(memory, mapping.start, mapping.end);
  }
  return Error{kErrorNoSupport, "process " + std::to_string(pid) + " has no vdso"};
}

}  // namespace blcr
