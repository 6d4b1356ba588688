// Victims that verify themselves are checkpointed, killed and restarted three times, as an ordinary user and, when the test may, as root.
#include "survive.h"

TEST(registers) { survive({victims() + "registers", roundtrip::lifetime(1600)}, "registers kept\n"); }
TEST(threads) { survive({victims() + "threads", roundtrip::lifetime(1600)}, "threads kept\n"); }
TEST(threadsForked) { survive({victims() + "threads", roundtrip::lifetime(1600)}, "threads kept\n", blcr::Snapshot::kFork); }
TEST(blockingCalls) { survive({victims() + "blocking", roundtrip::lifetime(1600)}, "calls kept\n"); }
TEST(blockingCallsForked) { survive({victims() + "blocking", roundtrip::lifetime(1600)}, "calls kept\n", blcr::Snapshot::kFork); }
TEST(files) { survive({victims() + "files", roundtrip::lifetime(1600)}, "files kept\n"); }
TEST(processes) { survive({victims() + "processes", roundtrip::lifetime(1600)}, "family kept\n"); }

CHECK_MAIN
