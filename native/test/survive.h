// A victim's round trips in a scratch directory of its own, for every user that the test may be.
#pragma once

#include <sys/stat.h>

#include <cstring>
#include <filesystem>

#include "check.h"
#include "roundtrip.h"

constexpr uid_t kOrdinary = 1000;

inline std::string victims() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  const std::string self(path, length > 0 ? size_t(length) : 0);
  return self.substr(0, self.rfind('/')) + "/victims/victim_";
}

/** The job in a scratch directory of its own; the victim's verdict and its output. */
inline void survive(roundtrip::Job job, const std::string& expected) {
  std::vector<uid_t> users = {kOrdinary, 0};
  if (geteuid() != 0) users = {geteuid()};
  for (const uid_t uid : users) {
    char directory[] = "/tmp/roundtrip-XXXXXX";
    CHECK(mkdtemp(directory) != nullptr);
    if (geteuid() == 0) CHECK(chown(directory, uid, uid) == 0);
    job.directory = directory;
    job.uid = uid;
    const roundtrip::Outcome outcome = roundtrip::run(job);
    CHECK(outcome.status == 0);
    CHECK(outcome.output == expected);
    if (outcome.output != expected) std::printf("  output: %s\n", outcome.output.c_str());
    if (getenv("BLCR_KEEP") == nullptr) std::filesystem::remove_all(directory);
  }
}

/** A victim that runs until the last life has gone on for a while, or for a time that it was told. */
inline void survive(std::vector<std::string> command, const std::string& expected, blcr::Snapshot snapshot = blcr::Snapshot::kPlain,
                    int firstMs = 300, int intervalMs = 250) {
  roundtrip::Job job;
  job.command = std::move(command);
  job.snapshot = snapshot;
  job.firstMs = firstMs;
  job.intervalMs = intervalMs;
  survive(std::move(job), expected);
}

/** A victim that says when it is ready, and waits for its last life. */
inline void surviveWhenReady(const std::string& victim, const std::string& expected, blcr::Snapshot snapshot = blcr::Snapshot::kPlain) {
  roundtrip::Job job;
  job.command = {victims() + victim};
  job.snapshot = snapshot;
  job.intervalMs = 20;
  job.tellsReady = true;
  survive(std::move(job), expected);
}
