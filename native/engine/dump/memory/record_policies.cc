#include "dump/memory/record_policies.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>

#include <algorithm>

#include "base/memory_nodes.h"

namespace blcr {
namespace {

/** Where memory of the area comes from; `mode` and `nodes` (0 = not asked for) lie in the scratch's data. */
RemoteCall question(const image::Area& area, uint64_t mode, uint64_t nodes) {
  return {SYS_get_mempolicy, {mode, nodes, nodes == 0 ? 0 : kMaxNodes, area.start, MPOL_F_ADDR}};
}

Status recordNodes(Foothold& foothold, const image::Area& area, image::AddressSpace& into) {
  const uint64_t at = foothold.scratch().data();
  RemoteCall call = question(area, at, at + sizeof(uint64_t));
  BLCR_TRY(foothold.run(std::span(&call, 1)));
  struct {
    int32_t mode, padding;
    char nodes[kMaxNodes / 8];
  } answer{};
  BLCR_TRY(foothold.scratch().memory().read(at, std::as_writable_bytes(std::span(&answer, 1))));
  if (call.result != 0) return Error{int(-call.result), "memory policy of an area"};
  into.policies.push_back({{area.start, area.end}, answer.mode, std::string(answer.nodes, sizeof answer.nodes)});
  return {};
}

}  // namespace

Status recordPolicies(Foothold& foothold, image::AddressSpace& into) {
  std::vector<const image::Area*> areas;
  for (const image::Area& area : into.areas)
    if (area.kind < image::AreaKind::kVdso) areas.push_back(&area);
  const uint64_t at = foothold.scratch().data();
  for (size_t first = 0; first < areas.size(); first += Scratch::kMaxCalls) {
    const size_t count = std::min(Scratch::kMaxCalls, areas.size() - first);
    std::vector<RemoteCall> calls;
    for (size_t i = 0; i < count; ++i) calls.push_back(question(*areas[first + i], at + i * sizeof(int32_t), 0));
    BLCR_TRY(foothold.run(calls));
    if (calls.front().result == -ENOSYS) return {};  // a kernel for one node of memory
    std::vector<int32_t> modes(count);
    BLCR_TRY(foothold.scratch().memory().read(at, std::as_writable_bytes(std::span(modes))));
    for (size_t i = 0; i < count; ++i)
      if (calls[i].result == 0 && modes[i] != MPOL_DEFAULT) BLCR_TRY(recordNodes(foothold, *areas[first + i], into));
  }
  return {};
}

}  // namespace blcr
