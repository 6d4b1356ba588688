// Whatever history of forks, sessions and ends led to a tree, there is a plan for it, and the plan leads to the same tree.
#include "image/tree_plan.h"

#include <array>
#include <map>
#include <random>

#include "check.h"

namespace {

using blcr::image::kNone;
using blcr::image::Process;
using blcr::image::TreePlan;
using blcr::image::TreeStep;

/** What the kernel does: numbers are never used twice, 1 is the init that everything ends up with. */
class World {
 public:
  struct One {
    int parent = 1, session = 1;
    bool subreaper = false, leads = false;
  };

  int fork(int forker, bool besideIt = false) {
    all_[++last_] = {besideIt ? all_[forker].parent : forker, all_[forker].session};
    return last_;
  }
  void lead(int pid) { all_[pid].session = pid; }
  void beSubreaper(int pid, bool on) { all_[pid].subreaper = on; }
  void end(int pid) {
    int heir = all_[pid].parent;
    while (heir != 1 && !all_[heir].subreaper) heir = all_[heir].parent;
    all_.erase(pid);
    for (auto& [_, each] : all_)
      if (each.parent == pid) each.parent = heir;
  }
  std::map<int, One>& all() { return all_; }

  /** As a checkpoint records it: parents first, 0 for init. */
  std::vector<Process> processes() {
    std::vector<Process> list;
    const auto add = [&](auto&& self, int parent) -> void {
      for (const auto& [pid, one] : all_) {
        if (one.parent != parent || pid == 1) continue;
        Process& process = list.emplace_back();
        process.pid = pid, process.ppid = parent == 1 ? 0 : parent, process.sid = one.session;
        self(self, pid);
      }
    };
    add(add, 1);
    return list;
  }

 private:
  std::map<int, One> all_{{1, {1, 1}}};
  int last_ = 1;
};

using State = std::map<int, std::pair<int, int>>;  // by pid: parent, session

State stateOf(const std::vector<Process>& processes) {
  State state;
  for (const Process& process : processes) state[process.pid] = {process.ppid == 0 ? 1 : process.ppid, process.sid};
  return state;
}

/** What following the plan would make, with the kernel's rules. */
State follow(const TreePlan& plan, const std::vector<Process>& processes) {
  World world;
  std::vector<int> here(plan.members.size()), between(plan.members.size());
  const auto at = [&](uint32_t member) { return member == kNone ? 1 : here[member]; };
  for (const TreeStep& step : plan.steps) {
    int& one = here[step.member];
    if (step.kind == TreeStep::Kind::kFork) {
      CHECK(at(step.other) != 0);
      int forker = at(step.other);
      if (step.moves) forker = between[step.member] = world.fork(forker);
      one = world.fork(forker);
    } else if (step.kind == TreeStep::Kind::kLead) {
      world.lead(one);
    } else {
      world.beSubreaper(at(step.other), true);
      world.end(between[step.member]);
      world.beSubreaper(at(step.other), false);
    }
  }
  std::map<int, int> recorded{{1, 1}};
  for (size_t member = 0; member < here.size(); ++member) recorded[here[member]] = plan.members[member].pid;
  State state;
  for (size_t member = here.size(); member-- > 0;) {
    const World::One one = world.all().at(here[member]);
    if (plan.members[member].process == kNone) {
      world.end(here[member]);
      continue;
    }
    state[processes[plan.members[member].process].pid] = {recorded.at(one.parent), one.session == 1 ? 1 : recorded.at(one.session)};
  }
  return state;
}

bool isRebuilt(const std::vector<Process>& processes) {
  const auto plan = blcr::image::planTree(processes, 0);
  if (!plan) std::printf("  %s\n", plan.error().detail.c_str());
  return plan.ok() && follow(plan.value(), processes) == stateOf(processes);
}

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  int below(int limit) { return int(engine_() % unsigned(limit)); }
  int member(World& world) {
    auto at = world.all().begin();
    std::advance(at, 1 + below(int(world.all().size()) - 1));
    return at->first;
  }

 private:
  std::mt19937 engine_;
};

/** A job: its root leads a session, and everything descends from it. */
World history(unsigned seed, int steps) {
  Random random(seed);
  World world;
  const int root = world.fork(1);
  if (seed % 3 != 0) world.lead(root);
  const int ends = 1 + random.below(5), sessions = 1 + random.below(4), subreapers = random.below(4);
  for (int step = 0; step < steps; ++step) {
    const int pid = random.member(world);
    const int what = random.below(8 + ends + sessions + subreapers);
    if (what < 7)
      world.fork(pid);
    else if (what < 8)
      world.fork(pid, true);
    else if (what < 8 + ends && pid != root)
      world.end(pid);
    else if (what < 8 + ends + sessions && world.all()[pid].session != pid)
      world.lead(pid);
    else
      world.beSubreaper(pid, !world.all()[pid].subreaper);
  }
  return world;
}

std::vector<Process> tree(std::initializer_list<std::array<int, 3>> rows) {
  std::vector<Process> list;
  for (const auto& [pid, parent, session] : rows) {
    Process& process = list.emplace_back();
    process.pid = pid, process.ppid = parent, process.sid = session;
  }
  return list;
}

}  // namespace

TEST(everyHistoryHasAPlan) {
  size_t moved = 0, led = 0;
  for (unsigned seed = 1; seed <= 6000; ++seed) {
    World world = history(seed, 10 + int(seed % 60));
    const auto processes = world.processes();
    const bool good = isRebuilt(processes);
    if (!good) {
      std::printf("  seed %u:", seed);
      for (const Process& each : processes) std::printf(" {%d, %d, %d},", each.pid, each.ppid, each.sid);
      std::printf("\n");
    }
    CHECK(good);
    const auto plan = blcr::image::planTree(processes, 0);
    for (const TreeStep& step : plan.value().steps) moved += step.moves ? 1 : 0, led += step.kind == TreeStep::Kind::kLead ? 1 : 0;
  }
  CHECK(moved > 6000 && led > 6000);
}

TEST(aMemberIsBornBeforeItsGrandparentLeads) { CHECK(isRebuilt(tree({{2, 0, 2}, {10, 2, 10}, {11, 10, 11}, {12, 11, 2}}))); }

TEST(aLeaderThatMovedAwayFromItsMembersParent) {
  // 5 began below 4, which began below 3; both were left to 2 later, 6 and 7 stayed.
  CHECK(isRebuilt(tree({{2, 0, 2}, {3, 2, 2}, {6, 3, 5}, {4, 2, 2}, {7, 4, 5}, {5, 2, 5}})));
}

TEST(whatNoHistoryLeadsTo) {
  // A member of the session of 3 with a parent that 3 descends from neither before nor after.
  const auto plan = blcr::image::planTree(tree({{2, 0, 2}, {3, 2, 3}, {4, 3, 3}, {5, 4, 2}}), 0);
  CHECK(!plan && plan.error().code == ENOTSUP && plan.error().detail.find("process 5") != std::string::npos);
}

TEST(largeTreesAreQuick) {
  auto deep = tree({{2, 0, 2}}), wide = deep;
  for (int pid = 3; pid < 3000; ++pid) {
    Process process;
    process.pid = process.sid = pid, process.ppid = pid - 1;
    deep.push_back(process);
    process.ppid = 2, process.sid = pid % 2 == 0 ? 2 : 100000 + pid;
    wide.push_back(process);
  }
  CHECK(isRebuilt(deep) && isRebuilt(wide));
}

int main(int argc, char** argv) { return check::run(argc, argv); }
