// Memory that a process has got by fork: pages that it and the one it was forked by still have in common travel once, and are one page
// again after a restart (copy-on-write). Shared by the checkpoint, which compares, and the restart, which forks at the right moment.
#pragma once

#include <cstdint>
#include <vector>

#include "image/model.h"
#include "image/tree_plan.h"

namespace blcr::image {

/** The part of a private area, from its start, that may have come by fork. */
struct InheritedArea {
  const Area* own = nullptr;
  const Area* source = nullptr;  // the same of the other process
  uint64_t end = 0;              // of what both have
};

/** What `own` may have from `source`: areas of one kind, file and place, by their start. Empty when the two have little in common. */
[[nodiscard]] std::vector<InheritedArea> inheritedAreas(const Process& own, const Process& source);

/**
 * Sets Process::forkedFrom: the one that forks it by this plan, or for orphans the first process of the same program, when they have areas
 * in common. Returns living processes in the order in which the plan makes them: a process comes after the one that it is forked from.
 */
[[nodiscard]] std::vector<uint32_t> findInheritance(std::vector<Process>& processes, const TreePlan& plan);

}  // namespace blcr::image
