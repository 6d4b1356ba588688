// Levels of the processor's architecture, and contexts that need no more than one.
#include "arch/x86_64/baseline.h"

#include <signal.h>

#include <algorithm>

#include "arch/x86_64/cpu.h"
#include "check.h"
#include "dump_harness.h"

using namespace blcr;

namespace {

bool lacks(const std::vector<uint32_t>& words, const char* feature) {
  const std::string_view names[] = {feature};
  const auto missing = missingFeatures(featureWords(names), words);
  return std::find(missing.begin(), missing.end(), feature) != missing.end();
}

}  // namespace

TEST(levelsContainThoseBelow) {
  const auto second = baselineFeatures("x86-64-v2"), third = baselineFeatures("x86-64-v3");
  CHECK(second && third && baselineFeatures("x86-64-v4"));
  CHECK(missingFeatures(*second, *third).empty() && !missingFeatures(*third, *second).empty());
  CHECK(!lacks(*second, "sse4_2") && lacks(*second, "avx") && !lacks(*third, "avx2") && lacks(*third, "avx512f") && lacks(*third, "pku"));
  CHECK(!baselineFeatures("") && !baselineFeatures("x86-64-v9"));
}

TEST(namesAreReducedToAndOthersChangeNothing) {
  const std::vector<uint32_t> all(9, ~0u);
  CHECK(lacks(reducedTo("x86-64-v2", all), "avx") && !lacks(reducedTo("x86-64-v2", all), "popcnt"));
  CHECK(reducedTo("", all) == all && reducedTo("of tomorrow", all) == all);
}

TEST(aContextNeedsNoMoreThanItsBaseline) {
  harness::Victim victim([](const std::function<void()>& ready) {
    ready();
    return harness::pauseForever();
  });
  CHECK(victim.ready());
  const auto confined = harness::dump(victim.pid(), Snapshot::kPlain, [](DumpRequest& request) { request.cpuBaseline = "x86-64-v2"; });
  CHECK(confined.verified && confined.image.host.cpuBaseline == "x86-64-v2");
  CHECK(missingFeatures(confined.image.host.cpuid, *baselineFeatures("x86-64-v2")).empty());
  const auto free = harness::dump(victim.pid(), Snapshot::kPlain);
  CHECK(free.verified && free.image.host.cpuBaseline.empty() && free.image.host.cpuid == cpuFeatures());
}

CHECK_MAIN
