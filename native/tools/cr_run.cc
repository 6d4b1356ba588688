// cr_run: runs a program so that it can be checkpointed.
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <vector>

#include "common/options.h"
#include "common/report.h"
#include "crx.h"

namespace {

constexpr char kName[] = "cr_run";
constexpr char kUsage[] =
    "usage: cr_run [options] [--] COMMAND [ARGUMENT...]\n"
    "Runs COMMAND under a keeper, so that it can be checkpointed and restarted.\n"
    "  -?, --help      this text\n"
    "  -v, --version   the version\n";

int runCommand(char** command) {
  char keeper[PATH_MAX];
  if (crx_keeper_path(keeper, sizeof keeper) < 0) return blcr::tools::failWith(kName, "the keeper executable", errno);
  static char mode[] = "run", separator[] = "--";
  std::vector<char*> arguments{keeper, mode, separator};
  for (; *command != nullptr; ++command) arguments.push_back(*command);
  arguments.push_back(nullptr);
  ::execv(keeper, arguments.data());
  return blcr::tools::failWith(kName, keeper, errno);
}

}  // namespace

int main(int argc, char** argv) {
  const auto parsed = blcr::tools::parseArguments(argc, argv, {{"help", '?', false}, {"version", 'v', false}}, true);
  if (!parsed.problem.empty()) {
    blcr::tools::complain(kName, parsed.problem);
    return blcr::tools::kUsageError;
  }
  if (!parsed.options.empty()) {
    if (parsed.options.front().name == "version") return blcr::tools::printVersion(kName);
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (parsed.operands.empty()) {
    std::fputs(kUsage, stderr);
    return blcr::tools::kUsageError;
  }
  return runCommand(argv + (argc - static_cast<int>(parsed.operands.size())));
}
