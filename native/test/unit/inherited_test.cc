// What a process may have in common with the one it was forked from.
#include "image/inherited.h"

#include "check.h"
#include "sample_image.h"

using namespace blcr::image;

namespace {

/** Two processes of one program without policies, whose areas can be changed. */
struct Family {
  std::vector<Process> processes{sampleProcess(100, 0), sampleProcess(110, 100)};
  Family() {
    for (Process& process : processes) process.memory.policies.clear();
  }
  Area& anonymous(size_t process) { return processes[process].memory.areas[1]; }
  /** [start, end) of each area that the second may have from the first. */
  [[nodiscard]] std::vector<std::pair<uint64_t, uint64_t>> common() const {
    std::vector<std::pair<uint64_t, uint64_t>> found;
    for (const InheritedArea& each : inheritedAreas(processes[1], processes[0])) found.emplace_back(each.own->start, each.end);
    return found;
  }
};

using Ranges = std::vector<std::pair<uint64_t, uint64_t>>;
const Ranges kBoth{{0x400000, 0x401000}, {0x500000, 0x600000}}, kFileOnly{{0x400000, 0x401000}};

template <typename Change>
Ranges commonAfter(Change change) {
  Family family;
  change(family);
  return family.common();
}

}  // namespace

TEST(privateMemoryIsCommon) { CHECK(Family().common() == kBoth); }

TEST(onlyTheCommonPartOfAreasThatHaveGrown) {
  CHECK((commonAfter([](Family& family) { family.anonymous(0).end += 0x1000; }) == kBoth));
  CHECK((commonAfter([](Family& family) { family.anonymous(1).end -= 0x1000; }) == Ranges{{0x400000, 0x401000}, {0x500000, 0x5ff000}}));
  CHECK(commonAfter([](Family& family) { family.anonymous(1).start += 0x1000; }) == kFileOnly);
  // The one end of a stack that does not move is the upper one.
  CHECK(commonAfter([](Family& family) {
          for (const size_t process : {0, 1}) family.anonymous(process).flags = kGrowsDown;
          family.anonymous(1).end -= 0x1000;
        }) == kFileOnly);
}

TEST(protectionLocksAndSealsComeLater) {
  CHECK(commonAfter([](Family& family) { family.anonymous(1).protection = 0; }) == kBoth);
  CHECK(commonAfter([](Family& family) { family.anonymous(0).flags = kLocked | kSealed; }) == kBoth);
}

TEST(whatForkDoesNotPassOnAsItIs) {
  for (const uint32_t flag : {uint32_t(kDontFork), uint32_t(kWipeOnFork), uint32_t(kDroppable), 1u << 30})
    CHECK(commonAfter([=](Family& family) {
            for (const size_t process : {0, 1}) family.anonymous(process).flags = flag;
          }) == kFileOnly);
  CHECK(commonAfter([](Family& family) { family.anonymous(0).flags = kHugePage; }) == kFileOnly);
  CHECK(commonAfter([](Family& family) { family.anonymous(0).shared = true; }) == kFileOnly);
  CHECK(commonAfter([](Family& family) { family.processes[1].memory.areas[0].offset = 0x1000; }) == Ranges({{0x500000, 0x600000}}));
}

TEST(nothingOfAnotherProgram) {
  CHECK(commonAfter([](Family& family) { family.processes[1].memory.exe = kNone; }).empty());
  CHECK(commonAfter([](Family& family) { family.processes[1].memory.policies.resize(1); }).empty());
  CHECK(commonAfter([](Family& family) {
          family.processes[1].memory.areas.push_back({.start = 0x800000, .end = 0x801000, .protection = 5, .kind = AreaKind::kVdso});
        }).empty());
}

TEST(ancestorsComeBeforeDescendants) {
  Family family;
  family.processes.push_back(sampleProcess(120, 110));
  family.processes.push_back(sampleProcess(130, 0));  // an orphan: nobody knows any more whose
  for (Process& process : family.processes) process.sid = 0, process.memory.policies.clear();
  auto plan = planTree(family.processes, 0);
  CHECK(plan.ok());
  if (!plan) return;
  CHECK((findInheritance(family.processes, *plan) == std::vector<uint32_t>{0, 1, 2, 3}));
  const auto& all = family.processes;
  CHECK(all[0].forkedFrom == kNone && all[1].forkedFrom == 0 && all[2].forkedFrom == 1 && all[3].forkedFrom == 0);
}

CHECK_MAIN
