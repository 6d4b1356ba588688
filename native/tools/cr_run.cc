// cr_run: runs a program so that it can be checkpointed.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "common/options.h"
#include "common/report.h"
#include "crx.h"

namespace {

constexpr char kName[] = "cr_run";
constexpr char kUsage[] =
    "usage: cr_run [options] [--] COMMAND [ARGUMENT...]\n"
    "Runs COMMAND under a keeper, so that it can be checkpointed and restarted.\n"
    "  --omit          leave COMMAND, and what it starts, out of checkpoints of the job that it is a part of\n"
    "  --run           the opposite of --omit (default)\n"
    "  -h, -?, --help  this text\n"
    "  -v, --version   the version\n";

/** $LD_PRELOAD with `first` in front and without BLCR's libraries for this purpose. */
void setPreload(const std::string& first) {
  const char* const given = std::getenv("LD_PRELOAD");
  std::string kept = first;
  std::string_view rest = given == nullptr ? "" : given;
  while (!rest.empty()) {
    const std::string_view entry = rest.substr(0, rest.find_first_of(": "));
    rest.remove_prefix(std::min(entry.size() + 1, rest.size()));
    const std::string_view name = entry.substr(entry.rfind('/') + 1);
    if (entry.empty() || name.starts_with("libcr_omit.so") || name.starts_with("libcr_run.so")) continue;
    kept.append(kept.empty() ? "" : ":").append(entry);
  }
  if (!kept.empty()) ::setenv("LD_PRELOAD", kept.c_str(), 1);
  if (kept.empty() && given != nullptr) ::unsetenv("LD_PRELOAD");
}

/** Without a keeper of its own: it belongs to nobody's checkpoint. */
int omitCommand(const std::string& keeper, char** command) {
  const std::string library = keeper.substr(0, keeper.rfind('/') + 1) + "libcr_omit.so.0";
  if (::access(library.c_str(), R_OK) != 0) return blcr::tools::failWith(kName, library, errno);
  setPreload(library);
  ::execvp(command[0], command);
  const int problem = errno;
  blcr::tools::complain(kName, std::string(command[0]) + ": " + cr_strerror(problem));
  return problem == ENOENT ? 127 : 126;
}

int runCommand(char** command, bool omit) {
  char keeper[PATH_MAX];
  if (crx_keeper_path(keeper, sizeof keeper) < 0) return blcr::tools::failWith(kName, "the keeper executable", errno);
  if (omit) return omitCommand(keeper, command);
  setPreload("");
  static char mode[] = "run", separator[] = "--";
  std::vector<char*> arguments{keeper, mode, separator};
  for (; *command != nullptr; ++command) arguments.push_back(*command);
  arguments.push_back(nullptr);
  ::execv(keeper, arguments.data());
  return blcr::tools::failWith(kName, keeper, errno);
}

}  // namespace

int main(int argc, char** argv) {
  const auto parsed =
      blcr::tools::parseArguments(argc, argv, {{"help", 'h'}, {"usage", '?'}, {"version", 'v'}, {"omit", 0}, {"run", 0}}, true);
  if (!parsed.problem.empty()) {
    blcr::tools::complain(kName, parsed.problem);
    return blcr::tools::kUsageError;
  }
  bool omit = false;
  for (const auto& option : parsed.options) {
    if (option.name == "version") return blcr::tools::printVersion(kName);
    if (option.name == "help" || option.name == "usage") return std::fputs(kUsage, stdout) < 0 ? 1 : 0;
    omit = option.name == "omit";
  }
  if (parsed.operands.empty()) {
    std::fputs(kUsage, stderr);
    return blcr::tools::kUsageError;
  }
  return runCommand(argv + (argc - static_cast<int>(parsed.operands.size())), omit);
}
