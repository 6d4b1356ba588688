// A program that goes on after a checkpoint has been in the middle of its critical sections, several times.
#include "critical_section.h"

#include <sys/syscall.h>

#include "base/codes.h"
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

TEST(registrations_that_the_kernel_does_not_tell_of_are_refused_and_kept) {
  if (critical_section::area() == nullptr) return;
  Victim victim([](const auto& ready) {
    constexpr int kUnregister = 1;  // RSEQ_FLAG_UNREGISTER, linux/rseq.h
    alignas(32) static char own[32];
    if (syscall(SYS_rseq, critical_section::area(), 32, kUnregister, RSEQ_SIG) != 0 || syscall(SYS_rseq, own, 32, 0, RSEQ_SIG) != 0)
      return 1;
    static volatile sig_atomic_t done = 0;
    signal(SIGTERM, [](int) { done = 1; });
    ready();
    while (done == 0) usleep(1000);
    return syscall(SYS_rseq, own, 32, kUnregister, RSEQ_SIG) == 0 ? 0 : 2;
  });
  CHECK(victim.ready());
  CHECK(dump(victim.pid(), Snapshot::kPlain).good);
  setenv("BLCR_DISABLE", "rseq_config", 1);
  const Dumped dumped = dump(victim.pid(), Snapshot::kPlain);
  unsetenv("BLCR_DISABLE");
  CHECK(!dumped.good && dumped.error.code == kErrorNoSupport);
  CHECK(dumped.error.detail.find("restartable sequences of its own") != std::string::npos);
  kill(victim.pid(), SIGTERM);
  CHECK(victim.join() == 0);
}

int main(int argc, char** argv) { return check::run(argc, argv); }
