// Who may have forked whom: the part of a tree of processes that its final state does not show.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace blcr::image {

/**
 * Nodes are numbers; 0 is whoever restarts the job, the ancestor of all. Each has a parent, and a leader: the node whose session it is in.
 * A node that is its own leader has begun a session; before, it was in that of its forker. A process inherits the session that its forker
 * is in at that moment, and is later left to an ancestor of the forker (a subreaper) when those between end. So this is wanted: forkers
 * such that the parent of each node is its forker or an ancestor of that one, and each forker was in the right session.
 */
struct Lineage {
  static constexpr uint32_t kUnknown = 0xffffffffu;
  std::vector<uint32_t> parent, leader;
  uint32_t gone = kUnknown;      // nodes from here on stand for leaders that have ended: they may be anywhere
  std::vector<uint32_t> forker;  // found: an ancestor of all that descend from the node
  std::vector<uint32_t> birth;   // found: the leader of the session that a leader was born in, kUnknown = any

  [[nodiscard]] bool leads(uint32_t node) const { return leader[node] == node; }
  /** The session that `node` was born in, as its leader. */
  [[nodiscard]] uint32_t bornIn(uint32_t node) const { return leads(node) ? birth[node] : leader[node]; }
};

/** Fills `forker` and `birth`, which may be empty. The node that cannot be placed when there is no answer. */
[[nodiscard]] std::optional<uint32_t> findForkers(Lineage& lineage);

}  // namespace blcr::image
