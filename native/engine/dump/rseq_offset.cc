#include "dump/rseq_offset.h"

#include <elf.h>
#include <sys/ptrace.h>

#include <cstring>
#include <string>

#include "base/features.h"
#include "base/io.h"
#include "trace/tracee.h"

namespace blcr {
namespace {

template <typename T>
bool readAt(const std::string& image, uint64_t offset, T& into) {
  if (offset > image.size() || image.size() - offset < sizeof(T)) return false;
  std::memcpy(&into, image.data() + offset, sizeof(T));
  return true;
}

/** Value of a dynamic symbol in an ELF file, 0 when there is none. */
uint64_t findSymbol(const std::string& image, const char* wanted) {
  Elf64_Ehdr header{};
  if (!readAt(image, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return 0;
  for (uint64_t index = 0; index < header.e_shnum; ++index) {
    Elf64_Shdr symbols{}, strings{};
    if (!readAt(image, header.e_shoff + index * sizeof symbols, symbols) || symbols.sh_type != SHT_DYNSYM) continue;
    if (!readAt(image, header.e_shoff + uint64_t(symbols.sh_link) * sizeof strings, strings)) continue;
    for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= symbols.sh_size; at += sizeof(Elf64_Sym)) {
      Elf64_Sym symbol{};
      if (!readAt(image, symbols.sh_offset + at, symbol)) break;
      const uint64_t name = strings.sh_offset + symbol.st_name;
      const size_t length = std::strlen(wanted) + 1;
      if (name < image.size() && image.size() - name >= length && std::memcmp(&image[name], wanted, length) == 0) return symbol.st_value;
    }
  }
  return 0;
}

}  // namespace

bool kernelTellsRseq(pid_t tid) {
  constexpr int kGetRseqConfiguration = 0x420f;
  uint64_t answer[4] = {};
  return featureAllowed("rseq_config") && ::ptrace(static_cast<__ptrace_request>(kGetRseqConfiguration), tid, sizeof answer, answer) >= 0;
}

int64_t glibcRseqOffset(pid_t pid, const std::vector<Mapping>& maps) {
  for (const Mapping& mapping : maps) {
    const bool loader = mapping.path.find("/ld-linux-x86-64.so") != std::string::npos || mapping.path.find("/ld-2.") != std::string::npos;
    if (!loader || mapping.offset != 0) continue;
    const auto image = readFile(mapping.path);
    const uint64_t value = image ? findSymbol(image.value(), "__rseq_offset") : 0;
    const auto offset = value == 0 ? Result<int64_t>(int64_t(0)) : RemoteMemory(pid).get<int64_t>(mapping.start + value);
    return offset ? offset.value() : 0;
  }
  return 0;
}

}  // namespace blcr
