#include "image/tree_plan.h"

#include <signal.h>

#include <string>
#include <unordered_map>

#include "image/lineage.h"

namespace blcr::image {
namespace {

/** Zombies that the keeper has yet to reap are not the job's business. */
bool isPlanned(const Process& process) { return process.state == ProcessState::kAlive || process.ppid != 0; }

using Node = uint32_t;  // 0: whoever restarts; the others are members, counted from 1

class Planner {
 public:
  Planner(const std::vector<Process>& processes, int32_t outerSession) : processes_(processes), outer_(outerSession) {}

  Result<TreePlan> plan() {
    name();
    if (const auto stuck = findForkers(lineage_)) return impossible(*stuck);
    kids_.resize(lineage_.parent.size());
    for (Node node = 1; node < kids_.size(); ++node) {
      kids_[lineage_.forker[node]].push_back(node);
      member(node).forker = memberOf(lineage_.forker[node]);
      // What moves is told of to its new parent by SIGCHLD, and its table is that of nobody else.
      if (moves(node) && (exitSignal(node) != SIGCHLD || processes_[member(node).process].sharesFilesWithParent)) return impossible(node);
    }
    for (const Node node : kids_[0]) grow(node);
    return std::move(plan_);
  }

 private:
  [[nodiscard]] TreePlan::Member& member(Node node) { return plan_.members[node - 1]; }
  [[nodiscard]] static uint32_t memberOf(Node node) { return node == 0 ? kNone : node - 1; }
  [[nodiscard]] bool moves(Node node) const { return node < lineage_.gone && lineage_.forker[node] != lineage_.parent[node]; }
  [[nodiscard]] int32_t exitSignal(Node node) { return processes_[member(node).process].exitSignal; }

  /** Nodes, parents and leaders; those who are gone last. */
  void name() {
    for (size_t index = 0; index < processes_.size(); ++index) {
      if (!isPlanned(processes_[index])) continue;
      plan_.members.push_back({processes_[index].pid, uint32_t(index)});
      nodes_[processes_[index].pid] = Node(plan_.members.size());
    }
    const size_t living = plan_.members.size();
    lineage_.gone = Node(living) + 1;
    lineage_.parent.assign(living + 1, 0);
    lineage_.leader.assign(living + 1, 0);
    for (Node node = 1; node <= living; ++node) {
      const Process& process = processes_[member(node).process];
      lineage_.parent[node] = process.ppid == 0 ? 0 : nodes_.at(process.ppid);
      lineage_.leader[node] = leaderOf(process);
    }
  }

  Node leaderOf(const Process& process) {
    if (process.sid == 0 || (process.sid == outer_ && process.sid != process.pid)) return 0;
    const auto [found, isNew] = nodes_.try_emplace(process.sid, Node(plan_.members.size()) + 1);
    if (isNew) {
      plan_.members.push_back({process.sid});
      lineage_.parent.push_back(0);
      lineage_.leader.push_back(found->second);
    }
    return found->second;
  }

  /** Those born in the session that `node` leaves come before it does so, and a member moves when all that descends from it is made. */
  void grow(Node top) {
    struct Growing {
      Node node;
      size_t next = 0;
      bool leads = false;
    };
    std::vector<Growing> stack{{top}};
    begin(top);
    while (!stack.empty()) {
      Growing& now = stack.back();
      const bool early = lineage_.leads(now.node) && !now.leads;
      const Node kid = nextKid(now.node, now.next, early);
      if (kid != 0) {
        begin(kid);
        stack.push_back({kid});
      } else if (early) {
        plan_.steps.push_back({TreeStep::Kind::kLead, memberOf(now.node)});
        now.leads = true;
        now.next = 0;
      } else {
        if (moves(now.node)) plan_.steps.push_back({TreeStep::Kind::kMove, memberOf(now.node), memberOf(lineage_.parent[now.node])});
        stack.pop_back();
      }
    }
  }

  void begin(Node node) { plan_.steps.push_back({TreeStep::Kind::kFork, memberOf(node), memberOf(lineage_.forker[node]), moves(node)}); }

  /** The next one from `next` on that is born before (`early`) or after `node` began its session; 0 = none. */
  Node nextKid(Node node, size_t& next, bool early) const {
    while (next < kids_[node].size()) {
      const Node kid = kids_[node][next++];
      const Node session = lineage_.bornIn(kid);
      const bool isEarly = lineage_.leads(node) && session != node && session != Lineage::kUnknown;
      if (isEarly == early) return kid;
    }
    return 0;
  }

  Error impossible(Node node) {
    const Process& process = processes_[member(node).process];
    return Error{ENOTSUP, "process " + std::to_string(process.pid) + ": it cannot be made again as a member of session " +
                              std::to_string(process.sid) + " whose parent is process " + std::to_string(process.ppid)};
  }

  const std::vector<Process>& processes_;
  int32_t outer_;
  TreePlan plan_;
  Lineage lineage_;
  std::unordered_map<int32_t, Node> nodes_;
  std::vector<std::vector<Node>> kids_;
};

}  // namespace

Result<TreePlan> planTree(const std::vector<Process>& processes, int32_t outerSession) { return Planner(processes, outerSession).plan(); }

}  // namespace blcr::image
