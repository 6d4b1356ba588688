// Victims that verify themselves are checkpointed, killed and restarted three times, as an ordinary user and, when the test may, as root.
#include "roundtrip.h"

#include <sys/stat.h>

#include <cstring>
#include <filesystem>

#include "check.h"

namespace {

constexpr uid_t kOrdinary = 1000;

std::string victims() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  const std::string self(path, length > 0 ? size_t(length) : 0);
  return self.substr(0, self.rfind('/')) + "/victims/victim_";
}

/** One job in a scratch directory of its own; the victim's verdict and its output. */
void survive(std::vector<std::string> command, const std::string& expected, blcr::Snapshot snapshot = blcr::Snapshot::kPlain,
             int firstMs = 300, int intervalMs = 250) {
  std::vector<uid_t> users = {kOrdinary, 0};
  if (geteuid() != 0) users = {geteuid()};
  for (const uid_t uid : users) {
    char directory[] = "/tmp/roundtrip-XXXXXX";
    CHECK(mkdtemp(directory) != nullptr);
    if (geteuid() == 0) CHECK(chown(directory, uid, uid) == 0);
    roundtrip::Job job;
    job.command = command;
    job.directory = directory;
    job.uid = uid;
    job.snapshot = snapshot;
    job.firstMs = firstMs;
    job.intervalMs = intervalMs;
    const roundtrip::Outcome outcome = roundtrip::run(job);
    CHECK(outcome.status == 0);
    CHECK(outcome.output == expected);
    if (outcome.output != expected) std::printf("  output: %s\n", outcome.output.c_str());
    if (getenv("BLCR_KEEP") == nullptr) std::filesystem::remove_all(directory);
  }
}

}  // namespace

TEST(registers) { survive({victims() + "registers", "1600"}, "registers kept\n"); }
TEST(threads) { survive({victims() + "threads", "1600"}, "threads kept\n"); }
TEST(threadsForked) { survive({victims() + "threads", "1600"}, "threads kept\n", blcr::Snapshot::kFork); }
TEST(blockingCalls) { survive({victims() + "blocking", "1600"}, "calls kept\n"); }
TEST(blockingCallsForked) { survive({victims() + "blocking", "1600"}, "calls kept\n", blcr::Snapshot::kFork); }
TEST(files) { survive({victims() + "files", "1600"}, "files kept\n"); }
TEST(processes) { survive({victims() + "processes", "1600"}, "family kept\n"); }

CHECK_MAIN
