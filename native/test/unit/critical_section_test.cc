// A program that goes on after a checkpoint has been in the middle of its critical sections, several times.
#include "critical_section.h"

#include "dump_harness.h"

using namespace harness;
using critical_section::End;

TEST(no_stop_goes_unnoticed_by_a_critical_section) {
  if (critical_section::area() == nullptr) return;
  constexpr uint64_t kRounds = 300000;
  constexpr int kDumps = 8;
  static volatile sig_atomic_t done = 0;
  Victim victim([](const auto& ready) {
    signal(SIGTERM, [](int) { done = 1; });
    ready();
    int aborted = 0;
    while (done == 0) {
      const End end = critical_section::run(critical_section::area(), kRounds);
      if (end == End::kLost) return 1;
      aborted += end == End::kAborted ? 1 : 0;
    }
    return aborted > 0 ? 0 : 2;
  });
  CHECK(victim.ready());
  for (int count = 0; count < kDumps; ++count) {
    if (count == kDumps / 2) setenv("BLCR_DISABLE", "rseq_config", 1);  // as kernels before 5.13
    CHECK(dump(victim.pid(), count % 2 == 0 ? Snapshot::kFork : Snapshot::kPlain).good);
  }
  unsetenv("BLCR_DISABLE");
  kill(victim.pid(), SIGTERM);
  CHECK(victim.join() == 0);
}

int main(int argc, char** argv) { return check::run(argc, argv); }
