// The little that is read of ELF images: bounds-checked, 64-bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace blcr {

/** Copies one object out of `image`; false when it does not lie inside. */
template <typename T>
[[nodiscard]] bool readObject(std::span<const std::byte> image, uint64_t offset, T& into) {
  if (offset > image.size() || image.size() - offset < sizeof(T)) return false;
  std::memcpy(&into, image.data() + offset, sizeof(T));
  return true;
}

struct ElfSymbol {
  std::string name;
  uint64_t value = 0, size = 0;
  bool function = false;
};

/** Symbols that the image defines for others (section .dynsym); none when it is malformed. */
[[nodiscard]] std::vector<ElfSymbol> dynamicSymbols(std::span<const std::byte> image);

}  // namespace blcr
