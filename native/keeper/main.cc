// blcr-keeper: looks after one job. Launches or restarts it, takes its checkpoints, passes signals and its exit status on.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "modes.h"

namespace {

constexpr int kUsage = 64;

int usage() {
  std::fputs(
      "usage: blcr-keeper run [--lifeline FD [--answers]] [--report FD] [--cpu-baseline NAME] -- PROGRAM [ARGUMENT...]\n"
      "       blcr-keeper probe\n"
      "       blcr-keeper restart | attach   (started by libcr)\n",
      stderr);
  return kUsage;
}

/** A descriptor number; -1 when the text is none. */
int parseDescriptor(const char* text) {
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  return *text != '\0' && *end == '\0' && value >= 0 && value < 1 << 20 ? static_cast<int>(value) : -1;
}

int run(int argc, char** argv) {
  blcr::RunOptions options;
  int at = 2;
  while (at < argc && std::strcmp(argv[at], "--") != 0) {
    const std::string_view name = argv[at++];
    if (name == "--answers") {
      options.answers = true;
      continue;
    }
    if (name == "--cpu-baseline" && at < argc) {
      options.cpuBaseline = argv[at++];
      continue;
    }
    int* const into = name == "--lifeline" ? &options.lifeline : name == "--report" ? &options.report : nullptr;
    if (into == nullptr || at >= argc || (*into = parseDescriptor(argv[at++])) < 0) return usage();
  }
  if (at + 1 >= argc) return usage();
  options.arguments = argv + at + 1;
  return blcr::runJob(options);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "run") return run(argc, argv);
  if (argc != 2) return usage();
  if (mode == "restart") return blcr::restartJob();
  if (mode == "attach") return blcr::attachOnce();
  if (mode == "probe") return blcr::probeHost();
  if (mode == "probe-victim") return blcr::probeVictim();
  return usage();
}
