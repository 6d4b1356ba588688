// Memory back to the system, for a process that then waits for an hour.
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

#include "addon.h"

namespace node_blcr {
namespace {

struct Range {
  uintptr_t begin, end;
};

/** The next word of `line`, which is cut off it. */
std::string_view CutWord(std::string_view& line) {
  const size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

/** A mapping of a file that cannot be written now. Source: proc_pid_maps(5), `begin-end mode offset device inode path`. */
std::optional<Range> ParseFileMapping(std::string_view line) {
  const std::string_view range = CutWord(line), mode = CutWord(line);
  CutWord(line);
  CutWord(line);
  const std::string_view inode = CutWord(line);
  if (mode.size() < 2 || mode[1] == 'w' || inode == "0") return std::nullopt;
  Range found{};
  const char* const end = range.data() + range.size();
  const auto [dash, error] = std::from_chars(range.data(), end, found.begin, 16);
  if (error != std::errc() || dash == end) return std::nullopt;
  if (std::from_chars(dash + 1, end, found.end, 16).ec != std::errc()) return std::nullopt;
  return found;
}

std::vector<Range> FileMappings() {
  std::vector<Range> result;
  FILE* const maps = fopen("/proc/self/maps", "re");
  if (maps == nullptr) return result;
  char* line = nullptr;
  size_t room = 0;
  for (ssize_t size; (size = getline(&line, &room, maps)) > 0;)
    if (const auto mapping = ParseFileMapping({line, static_cast<size_t>(size - 1)})) result.push_back(*mapping);
  free(line);
  fclose(maps);
  return result;
}

/**
 * Segments that were never writable are what their files are: whoever needs a page of them again finds it there. Only where they still are
 * mappings of files: Node can be told to move its code to large pages.
 */
int ForgetCode(dl_phdr_info* object, size_t, void* mappings) {
  const auto page = static_cast<uintptr_t>(getpagesize());
  for (int index = 0; index < object->dlpi_phnum; ++index) {
    const auto& segment = object->dlpi_phdr[index];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const uintptr_t begin = (object->dlpi_addr + segment.p_vaddr) & ~(page - 1);
    const uintptr_t end = (object->dlpi_addr + segment.p_vaddr + segment.p_memsz + page - 1) & ~(page - 1);
    for (const Range& mapping : *static_cast<const std::vector<Range>*>(mappings)) {
      const uintptr_t from = std::max(begin, mapping.begin), to = std::min(end, mapping.end);
      if (from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
    }
  }
  return 0;
}

}  // namespace

Napi::Value TrimMemory(const Napi::CallbackInfo& info) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  std::vector<Range> mappings = FileMappings();
  dl_iterate_phdr(ForgetCode, &mappings);
  return info.Env().Undefined();
}

}  // namespace node_blcr
