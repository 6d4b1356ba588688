#include "dump/injection_point.h"

#include <elf.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "arch/x86_64/vdso.h"
#include "base/codes.h"

namespace blcr {

static bool isOf32Bits(const RemoteMemory& memory, uint64_t library) {
  const auto kind = memory.get<unsigned char>(library + EI_CLASS);
  return kind.ok() && kind.value() == ELFCLASS32;
}

static bool mayBeOf32Bits(std::span<const Mapping> maps) {
  constexpr uint64_t kBeyond = 1ull << 32;
  return std::none_of(maps.begin(), maps.end(), [](const Mapping& one) { return one.end > kBeyond && one.path != "[vsyscall]"; });
}

/** Any two bytes that nobody can change now will do: what comes after them is never run, and what they belong to does not matter. */
static Result<uint64_t> findElsewhere(const RemoteMemory& memory, std::span<const Mapping> maps) {
  constexpr uint64_t kBlock = 1 << 20;
  constexpr std::array kSyscall{std::byte{0x0f}, std::byte{0x05}};
  std::vector<std::byte> block;
  for (const Mapping& mapping : maps) {
    if (mapping.shared || mapping.protection != (PROT_READ | PROT_EXEC)) continue;
    for (uint64_t at = mapping.start; at + 1 < mapping.end; at += kBlock) {
      block.resize(std::min(kBlock + 1, mapping.end - at));
      if (!memory.read(at, block).ok()) break;  // beyond the end of its file
      const auto found = std::search(block.begin(), block.end(), kSyscall.begin(), kSyscall.end());
      if (found != block.end()) return at + uint64_t(found - block.begin());
    }
  }
  return Error{ENOENT, "no syscall instruction"};
}

Result<uint64_t> injectionPoint(pid_t pid, std::span<const Mapping> maps) {
  const RemoteMemory memory(pid);
  for (const Mapping& mapping : maps) {
    if (mapping.path != "[vdso]") continue;
    if (isOf32Bits(memory, mapping.start))
      return Error{kErrorNoSupport, "process " + std::to_string(pid) + " runs a program of 32 bits, which is not supported"};
    return findSyscall(memory, mapping.start, mapping.end);
  }
  const auto elsewhere = mayBeOf32Bits(maps) ? Error{ENOENT, "all below 4 GiB"} : findElsewhere(memory, maps);
  if (elsewhere.ok()) return elsewhere;
  return Error{kErrorNoSupport, "process " + std::to_string(pid) +
                                    " has neither a vdso nor other code in which system calls can be made (" + elsewhere.error().detail +
                                    ")"};
}

}  // namespace blcr
