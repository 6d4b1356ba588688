#include "image/identity.h"

#include <elf.h>
#include <sys/stat.h>

#include <cstring>
#include <optional>
#include <vector>

#include "base/io.h"
#include "image/sha256.h"

namespace blcr::image {
namespace {

constexpr size_t kMaxNotes = 64 * 1024;

template <typename T>
bool readObject(int fd, uint64_t offset, T& into) {
  const auto got = readUpToAt(fd, std::as_writable_bytes(std::span(&into, 1)), off_t(offset));
  return got.ok() && got.value() == sizeof into;
}

/** The build-id in a run of ELF notes (each: sizes of name and description, type, both texts padded to 4 bytes). */
std::optional<std::string> findBuildId(std::span<const std::byte> notes) {
  while (notes.size() >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr note;
    std::memcpy(&note, notes.data(), sizeof note);
    const uint64_t nameEnd = sizeof note + (uint64_t(note.n_namesz) + 3) / 4 * 4;
    const uint64_t end = nameEnd + (uint64_t(note.n_descsz) + 3) / 4 * 4;
    if (nameEnd + note.n_descsz > notes.size()) return std::nullopt;
    const bool isGnu = note.n_namesz == 4 && std::memcmp(notes.data() + sizeof note, "GNU", 4) == 0;
    if (isGnu && note.n_type == NT_GNU_BUILD_ID && note.n_descsz >= 8) {
      std::string text = "build-id:";
      for (const std::byte byte : notes.subspan(nameEnd, note.n_descsz)) {
        text.push_back("0123456789abcdef"[size_t(byte) >> 4]);
        text.push_back("0123456789abcdef"[size_t(byte) & 15]);
      }
      return text;
    }
    if (end >= notes.size()) return std::nullopt;
    notes = notes.subspan(end);
  }
  return std::nullopt;
}

std::optional<std::string> buildId(int fd) {
  Elf64_Ehdr header{};
  if (!readObject(fd, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return std::nullopt;
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr)) return std::nullopt;
  for (uint64_t index = 0; index < header.e_phnum; ++index) {
    Elf64_Phdr segment{};
    if (!readObject(fd, header.e_phoff + index * sizeof segment, segment)) return std::nullopt;
    if (segment.p_type != PT_NOTE || segment.p_filesz > kMaxNotes) continue;
    std::vector<std::byte> notes(segment.p_filesz);
    const auto got = readUpToAt(fd, notes, off_t(segment.p_offset));
    if (!got.ok() || got.value() != notes.size()) continue;
    if (auto found = findBuildId(notes)) return found;
  }
  return std::nullopt;
}

}  // namespace

std::string sha256(std::span<const std::byte> data) {
  Sha256 hash;
  hash.update(data);
  return hash.hex();
}

Result<std::string> contentIdentity(int fd) {
  if (auto found = buildId(fd)) return *found;
  Sha256 hash;
  std::vector<std::byte> buffer(1 << 20);
  for (off_t offset = 0;;) {
    const auto got = readUpToAt(fd, buffer, offset);
    if (!got.ok()) return got.error();
    if (got.value() == 0) return "sha256:" + hash.hex();
    hash.update(std::span(buffer).first(got.value()));
    offset += off_t(got.value());
  }
}

}  // namespace blcr::image
