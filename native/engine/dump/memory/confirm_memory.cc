#include "dump/memory/confirm_memory.h"

#include "dump/memory/record_memory.h"
#include "proc/pagemap.h"

namespace blcr {

Status confirmMemory(pid_t source, image::Process& into) {
  if (!isTaskOf(source, into)) BLCR_TRY(correctFlags(source, into));
  auto map = PageMap::open(source);
  if (!map) return map.error();
  std::vector<PageRange> guards;
  for (const image::Area& area : into.memory.areas)
    if (area.kind < image::AreaKind::kVdso) BLCR_TRY(map->guards(area.start, area.end, guards));
  for (const PageRange& guard : guards) into.memory.guards.push_back({guard.start, guard.end});
  return {};
}

}  // namespace blcr
