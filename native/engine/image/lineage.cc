#include "image/lineage.h"

#include <algorithm>

namespace blcr::image {
namespace {

/**
 * A search with backtracking. It begins with each node forked by its parent. A node whose forker was never in its session leaves two
 * possibilities: the forker has been in it before it began its own, or the session began below the forker, which then is an ancestor of the
 * session's leader. Two nodes that must be above a third one have to be above each other, in one of two ways. Every step makes a node known
 * or puts one deeper, so the search ends.
 */
class Search {
 public:
  explicit Search(Lineage& lineage) : all_(lineage) {
    all_.forker = all_.parent;
    all_.birth.assign(all_.parent.size(), Lineage::kUnknown);
    openAll();
  }

  std::optional<uint32_t> run() {
    uint32_t stuck = 0;
    for (size_t choices = 0; choices < kPatience;) {
      std::optional<Move> move = next();
      if (!move) {
        if (open_.empty()) return std::nullopt;
        if (stuck == 0) stuck = open_.back();
        if (!goBack()) return stuck;
        ++choices;
        continue;
      }
      apply(*move);
    }
    return stuck;
  }

 private:
  static constexpr size_t kPatience = 20000;  // wrong turns

  /** Either the session that a leader was born in, or a new forker of a node. */
  struct Move {
    uint32_t node;
    bool isBirth;
    uint32_t value;
  };
  struct Turn {
    size_t done;
    Move other;
  };

  void openAll() {
    open_.clear();
    for (uint32_t node = uint32_t(all_.parent.size()); node-- > 1;) open_.push_back(node);
  }

  /** Whether `node` was in the session of `leader` when, or before, it was its own leader. */
  [[nodiscard]] bool supplies(uint32_t node, uint32_t leader) const {
    return all_.leader[node] == leader || (node != 0 && all_.leads(node) && all_.birth[node] == leader);
  }

  [[nodiscard]] std::vector<uint32_t> path(uint32_t node) const {
    std::vector<uint32_t> nodes{node};
    while (node != 0) nodes.push_back(node = all_.forker[node]);
    std::reverse(nodes.begin(), nodes.end());
    return nodes;
  }

  /** The next step; none when all is well, or when it cannot become so (then open_ is not empty). */
  std::optional<Move> next() {
    for (; !open_.empty(); open_.pop_back()) {
      const uint32_t node = open_.back(), session = all_.bornIn(node);
      if (session == Lineage::kUnknown || supplies(all_.forker[node], session)) continue;
      return place(node, session);
    }
    return std::nullopt;
  }

  std::optional<Move> place(uint32_t node, uint32_t session) {
    const uint32_t forker = all_.forker[node];
    const bool canBeBorn = forker != 0 && all_.leads(forker) && all_.birth[forker] == Lineage::kUnknown;
    const Move born{forker, true, session}, below{node, false, session};
    const std::vector<uint32_t> up = path(forker), down = path(session);
    size_t common = 0;
    while (common < up.size() && common < down.size() && up[common] == down[common]) ++common;
    if (common == down.size()) return canBeBorn ? std::optional<Move>(born) : std::nullopt;  // the leader is above the forker
    if (common == up.size()) return down[common] == node ? std::nullopt : std::optional<Move>(below);
    // Beside each other: one branch has to go under the other.
    const Move deeper{down[common], false, up[common]}, higher{up[common], false, down[common]};
    std::vector<Move> ways{deeper, higher};
    if (canBeBorn) ways.insert(session < all_.gone ? ways.begin() : ways.begin() + 1, born);
    for (size_t other = ways.size(); other-- > 1;) turns_.push_back({done_.size(), ways[other]});
    return ways.front();
  }

  void apply(const Move& move) {
    uint32_t& place = move.isBirth ? all_.birth[move.node] : all_.forker[move.node];
    done_.push_back({move.node, move.isBirth, place});
    place = move.value;
    open_.push_back(move.node);
  }

  bool goBack() {
    if (turns_.empty()) return false;
    const Turn turn = turns_.back();
    turns_.pop_back();
    for (; done_.size() > turn.done; done_.pop_back()) {
      const Move& undone = done_.back();
      (undone.isBirth ? all_.birth[undone.node] : all_.forker[undone.node]) = undone.value;
    }
    openAll();
    apply(turn.other);
    return true;
  }

  Lineage& all_;
  std::vector<uint32_t> open_;
  std::vector<Move> done_;
  std::vector<Turn> turns_;
};

}  // namespace

std::optional<uint32_t> findForkers(Lineage& lineage) { return Search(lineage).run(); }

}  // namespace blcr::image
