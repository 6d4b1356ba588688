// Everything that a program may hold, one small victim each (test/victims/holds): restored, and verified by the victim itself after two
// checkpoints, kills and restarts; or refused by name, and the victim goes on unharmed. As an ordinary user, unless told otherwise.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "check.h"
#include "roundtrip.h"

namespace holds {

constexpr uid_t kOrdinary = 1000;
constexpr size_t kAtOnce = 3;

/** Where the victims live: what keepers and jobs are confined by, and as whom they run. */
struct Place {
  void (*confine)() = nullptr;
  uid_t uid = kOrdinary;
};

struct Victim {
  std::string name, outcome;
  [[nodiscard]] bool isRefused() const { return outcome.starts_with("refused: "); }
  [[nodiscard]] std::string words() const { return outcome.substr(std::strlen("refused: ")); }
};

inline std::string program() {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  return self.substr(0, self.rfind('/')) + "/victims/victim_holds";
}

inline std::vector<Victim> victims() {
  std::vector<Victim> all;
  FILE* list = popen((program() + " --list").c_str(), "r");
  char line[1024];
  while (list != nullptr && std::fgets(line, sizeof line, list) != nullptr) {
    const std::string text(line, std::strlen(line) - 1);
    const size_t tab = text.find('\t');
    all.push_back({text.substr(0, tab), text.substr(tab + 1)});
  }
  CHECK(list != nullptr && pclose(list) == 0);
  return all;
}

inline roundtrip::Job jobOf(const Victim& victim, const Place& place) {
  roundtrip::Job job;
  char directory[] = "/tmp/holds-XXXXXX";
  CHECK(mkdtemp(directory) != nullptr);
  job.uid = geteuid() == 0 ? place.uid : geteuid();
  job.confine = place.confine;
  if (geteuid() == 0) CHECK(chown(directory, job.uid, job.uid) == 0);
  job.directory = directory;
  job.command = {program(), victim.name};
  job.generations = 2;
  // Copied while it runs on, then inside the stop.
  job.snapshot = blcr::Snapshot::kFork;
  job.laterSnapshot = blcr::Snapshot::kPlain;
  job.intervalMs = 20;
  job.tellsReady = true;
  const std::string script = job.directory + "/between";
  job.between = [script] {
    if (access(script.c_str(), F_OK) == 0 && std::system(("cd $(dirname " + script + ") && sh ./between").c_str()) != 0) CHECK(false);
  };
  return job;
}

/** The checkpoint fails with the words that the table promises, and the job never notices. */
[[noreturn]] inline void refuse(const roundtrip::Job& job, const std::string& words) {
  roundtrip::become(job.uid);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (job.confine != nullptr) job.confine();
  const int output = roundtrip::openOutput(job);
  const pid_t root = roundtrip::launch(job, output);
  roundtrip::awaitReady(job, root);
  const blcr::Status dumped = roundtrip::dump(job, 0, root, output, blcr::Snapshot::kFork, 0);
  if (dumped.ok() || dumped.error().detail.find(words) == std::string::npos) {
    std::fprintf(stderr, "  %s\n", dumped.ok() ? "was not refused" : dumped.error().detail.c_str());
    _exit(1);
  }
  roundtrip::letFinish(job);
  roundtrip::follow(root);
}

inline void check(const Victim& victim, const Place& place) {
  const roundtrip::Job job = jobOf(victim, place);
  roundtrip::Outcome outcome;
  if (victim.isRefused()) {
    std::fflush(stdout);
    const pid_t keeper = fork();
    if (keeper == 0) {
      alarm(roundtrip::lifeLimit());
      refuse(job, victim.words());
    }
    waitpid(keeper, &outcome.status, 0);
    outcome.output = roundtrip::readAll(job.directory + "/out");
  } else {
    outcome = roundtrip::run(job);
  }
  const bool skipped = std::filesystem::exists(job.directory + "/skipped");
  if (skipped) std::printf("  not tested here: %s\n", victim.name.c_str());
  CHECK(skipped || outcome.status == 0);
  CHECK(skipped || outcome.output == "kept\n");
  if (!skipped && outcome.output != "kept\n") std::printf("  output: %s\n", outcome.output.c_str());
  if (getenv("BLCR_KEEP") == nullptr) std::filesystem::remove_all(job.directory);
}

/** In a process of its own: most of a case's time is waiting. */
inline pid_t begin(const Victim& victim, const Place& place) {
  std::fflush(stdout);
  const pid_t worker = fork();
  if (worker != 0) return worker;
  check(victim, place);
  std::printf("%s %s\n", check::failures() == 0 ? "ok" : "FAILED", victim.name.c_str());
  std::fflush(stdout);
  _exit(check::failures() == 0 ? 0 : 1);
}

/** All victims that are wanted, some at a time; exits as a test does. */
inline int runAll(const Place& place, const std::function<bool(const Victim&)>& isWanted) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  size_t running = 0, done = 0;
  bool good = true;
  const auto takeOne = [&] {
    int status = 0;
    if (wait(&status) > 0) --running;
    good = good && status == 0;
  };
  for (const Victim& victim : victims()) {
    if (!isWanted(victim)) continue;
    if (running == kAtOnce) takeOne();
    begin(victim, place);
    ++running;
    ++done;
  }
  while (running > 0) takeOne();
  return good && done > 0 ? 0 : 1;
}

inline bool contains(const std::vector<std::string>& names, const Victim& victim) {
  return std::find(names.begin(), names.end(), victim.name) != names.end();
}

}  // namespace holds
