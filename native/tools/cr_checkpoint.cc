// cr_checkpoint: writes a context of running processes.
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>

#include "common/destination.h"
#include "common/options.h"
#include "common/report.h"
#include "common/request_end.h"
#include "crx.h"

namespace {

using blcr::tools::LogLevel;
using blcr::tools::Replacement;
using blcr::tools::Verbosity;

constexpr char kName[] = "cr_checkpoint";
constexpr char kUsage[] =
    "usage: cr_checkpoint [options] ID\n"
    "What is checkpointed:\n"
    "  -T, --tree      process ID and all its descendants (default)\n"
    "  -p, --pid       process ID\n"
    "  -g, --pgid      process group ID\n"
    "  -s, --session   session ID\n"
    "Where the context goes:\n"
    "  -c, --cwd       file context.ID in the working directory (default)\n"
    "  -f, --file FILE\n"
    "  -F, --fd FD     an open descriptor\n"
    "  --atomic (default), --backup[=NAME], --clobber, --noclobber   what happens to an existing file\n"
    "  --sync (default), --nosync                                    whether the file is flushed to its disk\n"
    "What happens to the processes afterwards:\n"
    "  --run (default), --stop, --term, --kill, --abort, --cont, -S, --signal NUMBER\n"
    "Other:\n"
    "  -t, --time SECONDS   give up after so long\n"
    "  --tcp HOW, --unix HOW   connections to the outside: refuse (default), or close: a restarted program finds them closed\n"
    "  --kmsg-none, --kmsg-error (default), --kmsg-warning           how much of the keeper's log is shown\n"
    "  -v, --verbose, -q, --quiet, -?, --help, --version\n";

struct Options {
  cr_checkpoint_args_t request{};
  std::string file;
  int fd = -1;
  crx_checkpoint_options_t extension{};
  Replacement replacement = Replacement::kAtomic;
  std::string backup;
  bool sync = true;
  LogLevel log = LogLevel::kError;
  Verbosity verbosity = Verbosity::kNormal;
  std::string problem;
};

const std::vector<blcr::tools::OptionSpec> kKnown = {
    {"tree", 'T', false},       {"pid", 'p', false},         {"pgid", 'g', false},
    {"session", 's', false},    {"cwd", 'c', false},         {"file", 'f', true},
    {"fd", 'F', true},          {"atomic", 0, false},        {"backup", 0, false},
    {"clobber", 0, false},      {"noclobber", 0, false},     {"sync", 0, false},
    {"nosync", 0, false},       {"run", 0, false},           {"stop", 0, false},
    {"term", 0, false},         {"kill", 0, false},          {"abort", 0, false},
    {"cont", 0, false},         {"signal", 'S', true},       {"time", 't', true},
    {"kmsg-none", 0, false},    {"kmsg-error", 0, false},    {"verbose", 'v', false},
    {"quiet", 'q', false},      {"kmsg-warning", 0, false},  {"save-exe", 0, false},
    {"save-private", 0, false}, {"save-shared", 0, false},   {"save-all", 0, false},
    {"save-none", 0, false},    {"ptraced-error", 0, false}, {"ptraced-allow", 0, false},
    {"ptraced-skip", 0, false}, {"ptracer-error", 0, false}, {"ptracer-skip", 0, false},
    {"tcp", 0, true},           {"unix", 0, true},           {"help", '?', false},
    {"version", 0, false},
};

struct Word {
  std::string_view name;
  unsigned value;
};

template <size_t N>
const Word* findWord(const Word (&words)[N], const std::string& name) {
  for (const Word& word : words) {
    if (word.name == name) return &word;
  }
  return nullptr;
}

/** Options that set one member to a constant. */
bool applyWord(const std::string& name, Options& options) {
  static constexpr Word kScopes[] = {{"tree", CR_SCOPE_TREE}, {"pid", CR_SCOPE_PROC}, {"pgid", CR_SCOPE_PGRP}, {"session", CR_SCOPE_SESS}};
  static constexpr Word kFlags[] = {{"save-exe", CR_CHKPT_DUMP_EXEC},          {"save-private", CR_CHKPT_DUMP_PRIVATE},
                                    {"save-shared", CR_CHKPT_DUMP_SHARED},     {"save-all", CR_CHKPT_DUMP_ALL},
                                    {"ptraced-allow", CR_CHKPT_PTRACED_ALLOW}, {"ptraced-skip", CR_CHKPT_PTRACED_SKIP},
                                    {"ptracer-skip", CR_CHKPT_PTRACER_SKIP}};
  static constexpr Word kReplacements[] = {{"atomic", unsigned(Replacement::kAtomic)},
                                           {"backup", unsigned(Replacement::kBackup)},
                                           {"clobber", unsigned(Replacement::kClobber)},
                                           {"noclobber", unsigned(Replacement::kNoClobber)}};
  static constexpr Word kLogs[] = {
      {"kmsg-none", unsigned(LogLevel::kNone)}, {"kmsg-error", unsigned(LogLevel::kError)}, {"kmsg-warning", unsigned(LogLevel::kWarning)}};
  static constexpr Word kNothing[] = {{"save-none", 0}, {"ptraced-error", 0}, {"ptracer-error", 0}};  // the defaults
  if (const Word* word = findWord(kScopes, name)) return options.request.cr_scope = word->value, true;
  if (const Word* word = findWord(kFlags, name)) return options.request.cr_flags |= word->value, true;
  if (const Word* word = findWord(kReplacements, name)) return options.replacement = Replacement(word->value), true;
  if (const Word* word = findWord(kLogs, name)) return options.log = LogLevel(word->value), true;
  return findWord(kNothing, name) != nullptr;
}

uint32_t connections(const std::string& name, const std::string& value, std::string& problem) {
  if (value != "refuse" && value != "close") problem = "--" + name + ": refuse or close, not " + value;
  return value == "close" ? CRX_CONNECTIONS_CLOSE : CRX_CONNECTIONS_REFUSE;
}

void apply(const std::string& name, const std::string& value, Options& options) {
  if (applyWord(name, options) || blcr::tools::chooseSignal(name, value, options.request.cr_signal, options.problem)) return;
  if (name == "cwd") options.file.clear(), options.fd = -1;
  if (name == "file") options.file = value, options.fd = -1;
  if (name == "sync") options.sync = true;
  if (name == "nosync") options.sync = false;
  if (name == "verbose") options.verbosity = Verbosity::kVerbose;
  if (name == "quiet") options.verbosity = Verbosity::kQuiet;
  if (name == "fd" && (options.fd = static_cast<int>(blcr::tools::parseNumber(value, INT_MAX))) < 0) {
    options.problem = "no such descriptor: " + value;
  }
  if (name == "tcp") options.extension.tcp = connections(name, value, options.problem);
  if (name == "unix") options.extension.unix_sockets = connections(name, value, options.problem);
  if (name == "time") {
    const long seconds = blcr::tools::parseNumber(value, INT_MAX);
    if (seconds < 0) options.problem = "no such time: " + value;
    options.request.cr_timeout = static_cast<unsigned>(seconds);
  }
}

int report(const Options& options, const std::string& what, int error) {
  return options.verbosity == Verbosity::kQuiet ? error & 0xff : blcr::tools::failWith(kName, what, error);
}

int checkpoint(Options& options, pid_t target) {
  blcr::tools::Destination destination;
  const std::string file = options.file.empty() ? "context." + std::to_string(target) : options.file;
  if (options.fd >= 0) {
    destination.useDescriptor(options.fd);
  } else if (!destination.openFile(file, options.replacement, options.backup)) {
    return report(options, file, destination.error());
  }
  options.request.cr_target = target;
  options.request.cr_fd = destination.fd();
  options.request.cr_flags |= CR_CHKPT_ASYNC_ERR;  // errors then come with the keeper's words
  cr_checkpoint_handle_t handle = 0;
  if (crx_request_checkpoint(&options.request, &options.extension, &handle) != 0) return report(options, "Checkpoint failed", errno);
  const auto end = blcr::tools::awaitCheckpoint(handle);
  const bool show = options.log == LogLevel::kWarning || (options.log == LogLevel::kError && end.error != 0);
  if (show && options.verbosity != Verbosity::kQuiet) blcr::tools::showLog(end.log);
  if (end.error != 0) return report(options, "Checkpoint failed", end.error);
  if (!destination.commit(options.sync)) return report(options, file, destination.error());
  if (options.verbosity == Verbosity::kVerbose) blcr::tools::complain(kName, "checkpoint of " + std::to_string(target) + " complete");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  cr_initialize_checkpoint_args_t(&options.request);
  options.request.cr_scope = CR_SCOPE_TREE;
  options.extension.size = sizeof options.extension;
  options.extension.checksum = 1;
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
  if (options.problem.empty() && parsed.operands.size() != 1) options.problem = "exactly one ID is needed";
  const long target = options.problem.empty() ? blcr::tools::parseNumber(parsed.operands.front(), INT_MAX) : 0;
  if (options.problem.empty() && target <= 0) options.problem = "no such ID: " + parsed.operands.front();
  if (!options.problem.empty()) {
    blcr::tools::complain(kName, options.problem);
    std::fputs(kUsage, stderr);
    return blcr::tools::kUsageError;
  }
  return checkpoint(options, static_cast<pid_t>(target));
}
