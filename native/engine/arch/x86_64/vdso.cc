#include "arch/x86_64/vdso.h"

#include <elf.h>

#include <vector>

#include "base/elf.h"

namespace blcr {
Result<uint64_t> findSyscall(std::span<const std::byte> image) {
  Elf64_Ehdr header{};
  if (!readObject(image, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return Error{ENOENT, "vdso: no ELF image"};
  for (uint64_t index = 0; index < header.e_shnum; ++index) {
    // Sections, not segments: a vdso has one segment, and 0f 05 in its tables would be data.
    Elf64_Shdr section{};
    if (header.e_shoff > image.size() || !readObject(image, header.e_shoff + index * sizeof section, section)) break;
    if ((section.sh_flags & SHF_EXECINSTR) == 0 || section.sh_type != SHT_PROGBITS) continue;
    if (section.sh_offset > image.size() || section.sh_size > image.size() - section.sh_offset) continue;
    for (uint64_t at = section.sh_offset; at + 1 < section.sh_offset + section.sh_size; ++at) {
      if (image[at] == std::byte{0x0f} && image[at + 1] == std::byte{0x05}) return at;
    }
  }
  return Error{ENOENT, "vdso: no syscall instruction"};
}

Result<uint64_t> findSyscall(const RemoteMemory& memory, uint64_t start, uint64_t end) {
  if (end <= start || end - start > 1 << 20) return Error{ENOENT, "vdso: no such area"};
  std::vector<std::byte> image(end - start);
  BLCR_TRY(memory.read(start, image));
  auto offset = findSyscall(image);
  if (!offset) return offset.error();
  return start + *offset;
}

}  // namespace blcr
