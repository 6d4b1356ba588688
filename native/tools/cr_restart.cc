// cr_restart: restarts processes from a context and stays their parent.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/unique_fd.h"
#include "common/foster.h"
#include "common/options.h"
#include "common/report.h"
#include "common/request_end.h"

namespace {

using blcr::tools::LogLevel;
using blcr::tools::Verbosity;

constexpr char kName[] = "cr_restart";
constexpr char kUsage[] =
    "usage: cr_restart [options] [FILE]\n"
    "Restarts the processes of a context and ends as their root does.\n"
    "Where the context comes from:\n"
    "  -f, --file FILE\n"
    "  -F, --fd FD              an open descriptor\n"
    "What is restored:\n"
    "  --restore-pid (default), --no-restore-pid\n"
    "  --restore-pgid, --no-restore-pgid, --restore-sid, --no-restore-sid\n"
    "  --relocate OLD=NEW       where files have moved, up to 16 times\n"
    "What happens to the processes then:\n"
    "  --run (default), --stop, --term, --kill, --abort, --cont, -S, --signal NUMBER\n"
    "Other:\n"
    "  --kmsg-none, --kmsg-error (default), --kmsg-warning      how much of the keeper's log is shown\n"
    "  -v, --verbose, -q, --quiet, -?, --help, --version\n";

struct Options {
  cr_restart_args_t request{};
  std::string file;
  int fd = -1;
  std::vector<std::pair<std::string, std::string>> relocations;
  LogLevel log = LogLevel::kError;
  Verbosity verbosity = Verbosity::kNormal;
  std::string problem;
};

const std::vector<blcr::tools::OptionSpec> kKnown = {
    {"file", 'f', true},        {"fd", 'F', true},
    {"restore-pid", 0, false},  {"no-restore-pid", 0, false},
    {"restore-pgid", 0, false}, {"no-restore-pgid", 0, false},
    {"restore-sid", 0, false},  {"no-restore-sid", 0, false},
    {"relocate", 0, true},      {"run", 0, false},
    {"stop", 0, false},         {"term", 0, false},
    {"kill", 0, false},         {"abort", 0, false},
    {"cont", 0, false},         {"signal", 'S', true},
    {"kmsg-none", 0, false},    {"kmsg-error", 0, false},
    {"kmsg-warning", 0, false}, {"verbose", 'v', false},
    {"quiet", 'q', false},      {"help", '?', false},
    {"version", 0, false},
};

struct Flag {
  std::string_view name;
  unsigned set, clear;
};

bool applyFlag(const std::string& name, Options& options) {
  static constexpr Flag kFlags[] = {{"restore-pid", CR_RSTRT_RESTORE_PID, 0},   {"no-restore-pid", 0, CR_RSTRT_RESTORE_PID},
                                    {"restore-pgid", CR_RSTRT_RESTORE_PGID, 0}, {"no-restore-pgid", 0, CR_RSTRT_RESTORE_PGID},
                                    {"restore-sid", CR_RSTRT_RESTORE_SID, 0},   {"no-restore-sid", 0, CR_RSTRT_RESTORE_SID}};
  for (const Flag& flag : kFlags) {
    if (flag.name != name) continue;
    options.request.cr_flags = (options.request.cr_flags | flag.set) & ~flag.clear;
    return true;
  }
  return false;
}

void relocate(const std::string& value, Options& options) {
  const size_t equals = value.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == value.size()) {
    options.problem = "--relocate needs OLD=NEW";
  } else if (options.relocations.size() == CR_MAX_RSTRT_RELOC) {
    options.problem = "too many --relocate";
  } else {
    options.relocations.emplace_back(value.substr(0, equals), value.substr(equals + 1));
  }
}

void apply(const std::string& name, const std::string& value, Options& options) {
  if (applyFlag(name, options) || blcr::tools::chooseSignal(name, value, options.request.cr_signal, options.problem)) return;
  if (name == "file") options.file = value;
  if (name == "relocate") relocate(value, options);
  if (name == "kmsg-none") options.log = LogLevel::kNone;
  if (name == "kmsg-error") options.log = LogLevel::kError;
  if (name == "kmsg-warning") options.log = LogLevel::kWarning;
  if (name == "verbose") options.verbosity = Verbosity::kVerbose;
  if (name == "quiet") options.verbosity = Verbosity::kQuiet;
  if (name == "fd" && (options.fd = static_cast<int>(blcr::tools::parseNumber(value, INT_MAX))) < 0) {
    options.problem = "no such descriptor: " + value;
  }
}

using Relocations = std::unique_ptr<cr_rstrt_relocate, void (*)(void*)>;

/** The C form; the strings stay with `options`. */
Relocations describeRelocations(Options& options) {
  const auto count = static_cast<unsigned>(options.relocations.size());
  Relocations described(static_cast<cr_rstrt_relocate*>(std::calloc(1, CR_RSTRT_RELOCATE_SIZE(count))), std::free);
  if (!described) return described;
  described->count = count;
  for (unsigned index = 0; index < count; ++index) {
    described->path[index] = {options.relocations[index].first.data(), options.relocations[index].second.data()};
  }
  return described;
}

int report(const Options& options, const std::string& what, int error) {
  return options.verbosity == Verbosity::kQuiet ? error & 0xff : blcr::tools::failWith(kName, what, error);
}

int restart(Options& options) {
  blcr::UniqueFd file;
  if (options.fd < 0) {
    file.reset(::open(options.file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
      report(options, options.file, errno);
      return blcr::tools::kUsageError;  // as BLCR: a missing context is a wrong command line
    }
  }
  const Relocations relocations = describeRelocations(options);
  options.request.cr_fd = file ? file.get() : options.fd;
  options.request.cr_flags |= CR_RSTRT_ASYNC_ERR;
  options.request.cr_relocate = relocations.get();
  // Signals for the job may come from now on: they wait until there is somebody to pass them to.
  const blcr::tools::Foster foster;
  cr_restart_handle_t handle = 0;
  if (cr_request_restart(&options.request, &handle) != 0) return report(options, "Restart failed", errno);
  const auto end = blcr::tools::awaitRestart(handle);
  const bool show = options.log == LogLevel::kWarning || (options.log == LogLevel::kError && end.error != 0);
  if (show && options.verbosity != Verbosity::kQuiet) blcr::tools::showLog(end.log);
  if (end.error != 0) return report(options, "Restart failed", end.error);
  file.reset();
  foster.waitLike(end.value);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  cr_initialize_restart_args_t(&options.request);
  const auto parsed = blcr::tools::parseArguments(argc, argv, kKnown, false);
  options.problem = parsed.problem;
  for (const auto& option : parsed.options) {
    if (option.name == "version") return blcr::tools::printVersion(kName);
    if (option.name == "help") {
      std::fputs(kUsage, stdout);
      return 0;
    }
    apply(std::string(option.name), option.value, options);
  }
  if (options.file.empty() && options.fd < 0 && parsed.operands.size() == 1) {
    options.file = parsed.operands.front();
  } else if (!parsed.operands.empty()) {
    options.problem = "one context only";
  }
  if (options.problem.empty() && options.file.empty() && options.fd < 0) options.problem = "a context is needed";
  if (!options.problem.empty()) {
    blcr::tools::complain(kName, options.problem);
    std::fputs(kUsage, stderr);
    return blcr::tools::kUsageError;
  }
  return restart(options);
}
