#include "dump/tasks/rseq_offset.h"

#include <sys/ptrace.h>

#include <string>

#include "base/elf.h"
#include "base/features.h"
#include "base/io.h"
#include "trace/tracee.h"

namespace blcr {
namespace {

/** Value of a dynamic symbol in an ELF file, 0 when there is none. */
uint64_t findSymbol(const std::string& image, std::string_view wanted) {
  for (const ElfSymbol& symbol : dynamicSymbols(std::as_bytes(std::span(image)))) {
    if (symbol.name == wanted) return symbol.value;
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
