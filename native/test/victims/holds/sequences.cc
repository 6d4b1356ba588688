// Restartable sequences (rseq(2)): a stop in the middle of a critical section must send the program to its abort handler, each time.
#include <sys/syscall.h>

#include "critical_section.h"
#include "holds.h"

namespace holds {
namespace {

void criticalSections() {
  using critical_section::End;
  auto* area = critical_section::area();
  if (area == nullptr) notHere();
  const std::string ready = home() + "/ready", go = home() + "/go";
  close(open(ready.c_str(), O_CREAT | O_WRONLY, 0600));
  uint64_t committed = 0, aborted = 0;
  while (access(go.c_str(), F_OK) != 0 || committed == 0) {
    const End end = critical_section::run(area, committed == 0 ? 1000 : 1000000);
    REQUIRE(end != End::kLost);
    (end == End::kCommitted ? committed : aborted) += 1;
  }
  REQUIRE(aborted > 0);
}

/** As a thread is before its C library has registered it. */
void unregisteredThread() {
  constexpr int kUnregister = 1;  // RSEQ_FLAG_UNREGISTER, linux/rseq.h
  auto* area = critical_section::area();
  if (area == nullptr) notHere();
  const auto registers = [area](int flags) { return syscall(SYS_rseq, area, 32, flags, RSEQ_SIG) == 0; };
  REQUIRE(registers(kUnregister));
  hold();
  REQUIRE(registers(0) && !registers(0) && errno == EBUSY);
}

const Case kUnregistered(Supported{"unregisteredThread", "registers", "a thread that has not registered restartable sequences", "restored"},
                         unregisteredThread);
const Case kSections(Supported{"criticalSections", "registers", "restartable sequences that are stopped inside a critical section",
                               "restored"},
                     criticalSections);

}  // namespace
}  // namespace holds
