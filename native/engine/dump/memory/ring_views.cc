#include "dump/memory/ring_views.h"

#include <linux/io_uring.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "base/codes.h"

namespace blcr {
namespace {

Error refuse(pid_t pid, const std::string& why) { return Error{kErrorNoSupport, "process " + std::to_string(pid) + ": io_uring: " + why}; }

}  // namespace

bool isRing(const Mapping& mapping) { return mapping.path == "anon_inode:[io_uring]"; }

std::set<pid_t> ringless(const Recording& recording) {
  std::set<pid_t> found;
  for (const auto& [pid, hint] : recording.hints)
    if (std::none_of(hint.maps.begin(), hint.maps.end(), isRing)) found.insert(pid);
  return found;
}

Status refuseNewRing(pid_t pid, const std::vector<Mapping>& maps) {
  if (std::none_of(maps.begin(), maps.end(), isRing)) return {};
  return Error{kErrorTemporary, "process " + std::to_string(pid) + ": it has just begun to use io_uring"};
}

uint32_t ringIndex(Recording& recording, ObjectKey key) {
  const auto [entry, fresh] = recording.ringOf.try_emplace(key, uint32_t(recording.image.rings.size()));
  if (fresh) recording.image.rings.emplace_back();
  return entry->second;
}

Status recordRingView(pid_t pid, const Mapping& mapping, Recording& recording, image::Area& area) {
  // The kernel maps from the beginning of a part, whatever is added to its offset.
  const bool whole = mapping.offset == IORING_OFF_SQ_RING || mapping.offset == IORING_OFF_CQ_RING || mapping.offset == IORING_OFF_SQES;
  if (!whole) return refuse(pid, "memory other than its queues is mapped, or a part of them");
  if (!mapping.shared) return refuse(pid, "it is mapped privately");
  area.kind = image::AreaKind::kRing;
  area.file = ringIndex(recording, {makedev(mapping.major, mapping.minor), mapping.inode});
  area.offset = mapping.offset;
  return {};
}

Status checkRingViews(const image::Image& image) {
  for (const image::Process& process : image.processes)
    for (const image::Area& area : process.memory.areas)
      if (area.kind == image::AreaKind::kRing && image.rings[area.file].entries == 0)
        return refuse(process.pid, "a ring is mapped whose descriptor is closed");
  return {};
}

}  // namespace blcr
