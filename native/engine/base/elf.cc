#include "base/elf.h"

#include <elf.h>

namespace blcr {
namespace {

constexpr uint64_t kMaxSymbols = 1 << 16;

std::string nameAt(std::span<const std::byte> image, uint64_t offset) {
  std::string name;
  for (char letter = 0; readObject(image, offset, letter) && letter != 0; ++offset) name.push_back(letter);
  return name;
}

void readTable(std::span<const std::byte> image, const Elf64_Shdr& symbols, uint64_t strings, std::vector<ElfSymbol>& into) {
  for (uint64_t index = 0; index < symbols.sh_size / sizeof(Elf64_Sym) && into.size() < kMaxSymbols; ++index) {
    Elf64_Sym symbol{};
    if (!readObject(image, symbols.sh_offset + index * sizeof symbol, symbol)) return;
    const unsigned type = symbol.st_info & 0xf;
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_name == 0 || (type != STT_FUNC && type != STT_OBJECT && type != STT_NOTYPE)) continue;
    into.push_back({nameAt(image, strings + symbol.st_name), symbol.st_value, symbol.st_size, type == STT_FUNC});
  }
}

}  // namespace

std::vector<ElfSymbol> dynamicSymbols(std::span<const std::byte> image) {
  std::vector<ElfSymbol> found;
  Elf64_Ehdr header{};
  if (!readObject(image, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64)
    return found;
  for (uint64_t index = 0; index < header.e_shnum; ++index) {
    Elf64_Shdr symbols{}, strings{};
    if (!readObject(image, header.e_shoff + index * sizeof symbols, symbols) || symbols.sh_type != SHT_DYNSYM) continue;
    if (readObject(image, header.e_shoff + uint64_t(symbols.sh_link) * sizeof strings, strings))
      readTable(image, symbols, strings.sh_offset, found);
  }
  return found;
}

}  // namespace blcr
