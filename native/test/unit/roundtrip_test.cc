// Victims that verify themselves are checkpointed, killed and restarted three times, as an ordinary user and, when the test may, as root.
#include "survive.h"

TEST(registers) { survive({victims() + "registers"}, "registers kept\n"); }
TEST(threads) { survive({victims() + "threads"}, "threads kept\n"); }
TEST(threadsForked) { survive({victims() + "threads"}, "threads kept\n", blcr::Snapshot::kFork); }
TEST(blockingCalls) { survive({victims() + "blocking", roundtrip::lifetime(2600)}, "calls kept\n"); }
TEST(blockingCallsForked) { survive({victims() + "blocking", roundtrip::lifetime(2600)}, "calls kept\n", blcr::Snapshot::kFork); }
TEST(files) { survive({victims() + "files"}, "files kept\n"); }
TEST(processes) { survive({victims() + "processes"}, "family kept\n"); }

CHECK_MAIN
