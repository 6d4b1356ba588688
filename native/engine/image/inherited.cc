#include "image/inherited.h"

#include <algorithm>
#include <unordered_map>

namespace blcr::image {
namespace {

/** What a restart does before memory is filled; the rest (locks, seals) it does when all have been forked. */
constexpr uint32_t kEarlyFlags = kGrowsDown | kNoReserve | kHugePage | kNoHugePage | kDontDump | kMergeable | kSequential | kRandom;
constexpr uint32_t kLateFlags = kLocked | kLockOnFault | kSealed;

/** Huge pages are set aside for whoever has mapped them, but not for who has them by fork. Flags that are not known here keep an area from
 * being inherited: it may not be one that fork passes on as it is. */
bool isCommon(const Area& own, const Area& source) {
  const bool isPlain = ((own.flags | source.flags) & ~(kEarlyFlags | kLateFlags)) == 0 && own.hugeShift == 0 && source.hugeShift == 0;
  const bool isSame = own.kind == source.kind && own.file == source.file && own.offset == source.offset &&
                      (own.flags & kEarlyFlags) == (source.flags & kEarlyFlags);
  const bool isPrivate = !own.shared && !source.shared && (own.kind == AreaKind::kAnonymous || own.kind == AreaKind::kFile);
  // What grows downwards is joined by its end.
  return isPlain && isSame && isPrivate && own.start == source.start && ((own.flags & kGrowsDown) == 0 || own.end == source.end);
}

/** The restart lays them out once, for both. */
bool haveSameKernelAreas(const Process& one, const Process& other) {
  std::vector<const Area*> kernel[2];
  for (const Area& area : one.memory.areas)
    if (isKernelArea(area)) kernel[0].push_back(&area);
  for (const Area& area : other.memory.areas)
    if (isKernelArea(area)) kernel[1].push_back(&area);
  return std::equal(kernel[0].begin(), kernel[0].end(), kernel[1].begin(), kernel[1].end(),
                    [](const Area* a, const Area* b) { return a->kind == b->kind && a->start == b->start && a->end == b->end; });
}

}  // namespace

std::vector<InheritedArea> inheritedAreas(const Process& own, const Process& source) {
  // Policies divide areas, which are then no longer what the model says.
  if (own.memory.exe != source.memory.exe || !own.memory.policies.empty() || !source.memory.policies.empty() ||
      !haveSameKernelAreas(own, source))
    return {};
  std::vector<InheritedArea> found;
  auto other = source.memory.areas.begin();
  const auto end = source.memory.areas.end();
  for (const Area& area : own.memory.areas) {
    while (other != end && other->start < area.start) ++other;
    if (other != end && isCommon(area, *other)) found.push_back({&area, &*other, std::min(area.end, other->end)});
  }
  return found;
}

std::vector<uint32_t> findInheritance(std::vector<Process>& processes, const TreePlan& plan) {
  std::vector<uint32_t> order;
  std::unordered_map<uint32_t, uint32_t> firstOf;  // by executable
  for (const TreeStep& step : plan.steps) {
    const uint32_t index = step.kind == TreeStep::Kind::kFork ? plan.members[step.member].process : kNone;
    if (index == kNone || processes[index].state != ProcessState::kAlive) continue;
    Process& own = processes[index];
    const uint32_t forker = step.other == kNone ? kNone : plan.members[step.other].process;
    const auto [first, isFirst] = firstOf.try_emplace(own.memory.exe, index);
    for (const uint32_t source : {forker, isFirst ? kNone : first->second}) {
      if (source == kNone || own.forkedFrom != kNone || processes[source].state != ProcessState::kAlive) continue;
      if (!inheritedAreas(own, processes[source]).empty()) own.forkedFrom = source;
    }
    order.push_back(index);
  }
  return order;
}

}  // namespace blcr::image
