// Victims with sockets.
#include "survive.h"

TEST(localSockets) { surviveWhenReady("local_sockets", "local sockets kept\n"); }
TEST(localSocketsForked) { surviveWhenReady("local_sockets", "local sockets kept\n", blcr::Snapshot::kFork); }
TEST(internetSockets) { surviveWhenReady("internet_sockets", "internet sockets kept\n"); }
TEST(internetSocketsForked) { surviveWhenReady("internet_sockets", "internet sockets kept\n", blcr::Snapshot::kFork); }

CHECK_MAIN
