// Victims on kernels that lack newer ways of asking and doing: each fall-back, on a kernel that would not need it.
#include "survive.h"

namespace {

void surviveWithout(const char* feature, const char* victim) {
  roundtrip::Job job;
  job.command = {victims() + "holds", victim};
  job.generations = 2;
  job.intervalMs = 20;
  job.tellsReady = true;
  job.disable.assign(3, feature);
  survive(std::move(job), "kept\n");
}

}  // namespace

TEST(eventfdThatDoesNotTellItsMode) { surviveWithout("eventfd_semaphore", "eventFds"); }
/** Where it may not be asked, who shares what is found out by changing something. Docker's filter is in confined_test. */
TEST(sharingWithoutKcmp) {
  for (const char* victim : {"threadDirectory", "sharedTable", "passedEpoll"}) surviveWithout("kcmp", victim);
}
// A sanitized victim maps terabytes of shadow memory, with pages here and there.
#ifndef __SANITIZE_ADDRESS__
TEST(largeReservationsInThePageMap) { surviveWithout("pagemap_scan", "hiddenContents"); }
#endif

CHECK_MAIN
