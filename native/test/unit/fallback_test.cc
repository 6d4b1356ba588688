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
TEST(timersWhoseNumbersCannotBeChosen) { surviveWithout("timer_ids", "timersOfThreads"); }
TEST(threadsWhoseRegistrationIsNotTold) { surviveWithout("rseq_config", "unregisteredThread"); }
/** Where it may not be asked, who shares what is found out by changing something. Docker's filter is in confined_test. */
TEST(sharingWithoutKcmp) {
  for (const char* victim : {"threadDirectory", "sharedTable", "passedEpoll"}) surviveWithout("kcmp", victim);
}
/** Another thread has them then, of which a pidfd is to be had since Linux 6.9 only. */
TEST(processesWithoutMainThread) {
  for (const char* feature : {"pidfd_thread", "kcmp", "pidfd", "process_vm,batch", "rseq_config", "timer_ids", "same_vdso", "vdso_move"})
    for (const char* victim : {"mainThreadGone", "whatMainThreadLeft"}) surviveWithout(feature, victim);
  for (const char* victim : {"mainThreadsStatus", "mainThreadOfStoppedGone", "mainThreadOfOrphanGone", "childrenOfLostMain"})
    surviveWithout("pidfd_thread", victim);
}
TEST(commonMemoryOnAnotherKernel) {
  for (const char* feature : {"same_vdso", "vdso_move", "pagemap_scan", "process_vm"}) surviveWithout(feature, "inheritedMemory");
}
// A sanitized victim maps terabytes of shadow memory, with pages here and there.
#ifndef __SANITIZE_ADDRESS__
TEST(largeReservationsInThePageMap) { surviveWithout("pagemap_scan", "hiddenContents"); }
#endif

CHECK_MAIN
