// cr_checkpoint: writes a context of running processes.
#include <cerrno>
#include <climits>
#include <cstdio>

#include "common/destination.h"
#include "common/request_end.h"
#include "common/request_options.h"
#include "crx.h"

namespace {

using blcr::tools::kUsageError;
using blcr::tools::Replacement;
using blcr::tools::Value;
using blcr::tools::Verbosity;

constexpr char kName[] = "cr_checkpoint";
constexpr char kUsage[] =
    "usage: cr_checkpoint [options] ID\n"
    "What is checkpointed:\n"
    "  -T, --tree      process ID and all its descendants (default)\n"
    "  -p, --pid, --process     process ID\n"
    "  -g, --pgid, --group      process group ID\n"
    "  -s, --sid, --session     session ID\n"
    "Where the context goes:\n"
    "  -c, --cwd       file context.ID in the working directory (default)\n"
    "  -f, --file FILE\n"
    "  -F, --fd FD     an open descriptor\n"
    "  --atomic (default), --backup[=NAME], --clobber, --noclobber   what happens to an existing file\n"
    "  --sync (default), --nosync                                    whether the file is flushed to its disk\n"
    "What happens to the processes afterwards:\n"
    "  --run (default), --stop, --term, --kill, --abort, --cont, -S, --signal NUMBER\n"
    "What of the memory is saved although it is in files:\n"
    "  --save-exe, --save-private, --save-shared, --save-all, --save-none (default)\n"
    "Processes that are traced (--ptraced-) or trace others (--ptracer-):\n"
    "  --ptraced-error (default), --ptraced-skip, --ptraced-allow, --ptracer-error (default), --ptracer-skip\n"
    "Other:\n"
    "  -t, --time SECONDS   give up after so long\n"
    "  --tcp HOW, --unix HOW   connections to the outside: refuse (default), or close: a restarted program finds them closed\n"
    "  --pipes HOW   pipes to the outside: replace (default) by cr_restart's descriptors of the same number, else its stdin or stdout; or "
    "refuse\n"
    "  --kmsg-none, --kmsg-error (default), --kmsg-warning           how much of the keeper's log is shown\n"
    "  -v, --verbose, -q, --quiet, -h, -?, --help, --version\n";

struct Options : blcr::tools::RequestOptions {
  cr_checkpoint_args_t request{};
  crx_checkpoint_options_t extension{};
  bool cwd = false;
  Replacement replacement = Replacement::kAtomic;
  std::string backup;
  bool sync = true;
};

const std::vector<blcr::tools::OptionSpec> kKnown = blcr::tools::withRequestOptions({
    {"tree", 'T'},
    {"pid", 'p'},
    {"process", 0},
    {"pgid", 'g'},
    {"group", 0},
    {"sid", 's'},
    {"session", 0},
    {"cwd", 'c'},
    {"atomic", 0},
    {"clobber", 0},
    {"noclobber", 0},
    {"backup", 0, Value::kOptional},
    {"sync", 0},
    {"nosync", 0},
    {"verbose", 'v'},
    {"time", 't', Value::kNeeded},
    {"save-exe", 0},
    {"save-private", 0},
    {"save-shared", 0},
    {"save-all", 0},
    {"save-none", 0},
    {"ptraced-error", 0},
    {"ptraced-allow", 0},
    {"ptraced-skip", 0},
    {"ptracer-error", 0},
    {"ptracer-skip", 0},
    {"version", 0},
    {"tcp", 0, Value::kNeeded},
    {"pipes", 0, Value::kNeeded},
    {"unix", 0, Value::kNeeded},
});

/** Options that set one thing to a constant. */
struct Word {
  std::string_view name;
  unsigned value;
};
struct FlagWord {
  std::string_view name;
  unsigned clear, set;
};

constexpr unsigned kPtraced = CR_CHKPT_PTRACED_ALLOW | CR_CHKPT_PTRACED_SKIP;
constexpr Word kScopes[] = {{"tree", CR_SCOPE_TREE},  {"pid", CR_SCOPE_PROC}, {"process", CR_SCOPE_PROC}, {"pgid", CR_SCOPE_PGRP},
                            {"group", CR_SCOPE_PGRP}, {"sid", CR_SCOPE_SESS}, {"session", CR_SCOPE_SESS}};
constexpr FlagWord kFlags[] = {{"save-exe", 0, CR_CHKPT_DUMP_EXEC},
                               {"save-private", 0, CR_CHKPT_DUMP_PRIVATE},
                               {"save-shared", 0, CR_CHKPT_DUMP_SHARED},
                               {"save-all", 0, CR_CHKPT_DUMP_ALL},
                               {"save-none", CR_CHKPT_DUMP_ALL, 0},
                               {"ptraced-error", kPtraced, 0},
                               {"ptraced-allow", kPtraced, CR_CHKPT_PTRACED_ALLOW},
                               {"ptraced-skip", kPtraced, CR_CHKPT_PTRACED_SKIP},
                               {"ptracer-error", CR_CHKPT_PTRACER_SKIP, 0},
                               {"ptracer-skip", 0, CR_CHKPT_PTRACER_SKIP}};
constexpr Word kReplacements[] = {{"atomic", unsigned(Replacement::kAtomic)},
                                  {"backup", unsigned(Replacement::kBackup)},
                                  {"clobber", unsigned(Replacement::kClobber)},
                                  {"noclobber", unsigned(Replacement::kNoClobber)}};

bool applyWord(std::string_view name, Options& options) {
  for (const Word& word : kScopes) {
    if (word.name == name) return options.request.cr_scope = word.value, true;
  }
  for (const Word& word : kReplacements) {
    if (word.name == name) return options.replacement = Replacement(word.value), true;
  }
  for (const FlagWord& word : kFlags) {
    if (word.name != name) continue;
    options.request.cr_flags = (options.request.cr_flags & ~word.clear) | word.set;
    return true;
  }
  return false;
}

/** CRX_*_REFUSE, or what `other` stands for. */
uint32_t outside(const blcr::tools::ParsedOption& option, const std::string& other, Options& options) {
  const bool known = option.value == "refuse" || option.value == other;
  if (!known) options.complainAbout("--" + std::string(option.name) + ": refuse or " + other + ", not " + option.value, kUsageError);
  return option.value == other ? 1 : 0;
}
static_assert(CRX_CONNECTIONS_CLOSE == 1 && CRX_PIPES_REPLACE == 1);

void apply(const blcr::tools::ParsedOption& option, Options& options) {
  if (options.cwd && (option.name == "file" || option.name == "fd")) options.complainAbout("more than one place for the context", EINVAL);
  if (option.name == "backup") options.backup = option.value;
  if (applyWord(option.name, options) || blcr::tools::applyRequestOption(option, options)) return;
  if (option.name == "tcp") options.extension.tcp = outside(option, "close", options);
  if (option.name == "pipes") options.extension.pipes = outside(option, "replace", options);
  if (option.name == "unix") options.extension.unix_sockets = outside(option, "close", options);
  if (option.name == "sync" || option.name == "nosync") options.sync = option.name == "sync";
  if (option.name == "cwd") {
    if (options.hasPlace()) options.complainAbout("more than one place for the context", EINVAL);
    options.cwd = true;
  }
  if (option.name == "time") {
    const long seconds = blcr::tools::parseNumber(option.value, INT_MAX);
    if (seconds < 0) options.complainAbout("no such time: " + option.value, option.value.starts_with('-') ? EINVAL : kUsageError);
    options.request.cr_timeout = static_cast<unsigned>(seconds);
  }
}

int checkpoint(Options& options, pid_t target) {
  blcr::tools::Destination destination;
  const std::string file = options.file.empty() ? "context." + std::to_string(target) : options.file;
  if (options.fd >= 0) {
    destination.useDescriptor(options.fd);
  } else if (!destination.openFile(file, options.replacement, options.backup)) {
    return reportFailure(kName, options, file, destination.error());
  }
  options.request.cr_target = target;
  options.request.cr_fd = destination.fd();
  options.request.cr_signal = options.signal;
  options.request.cr_flags |= CR_CHKPT_ASYNC_ERR;  // errors then come with the keeper's words
  cr_checkpoint_handle_t handle = 0;
  if (crx_request_checkpoint(&options.request, &options.extension, &handle) != 0)
    return reportFailure(kName, options, "Checkpoint failed", errno);
  const auto end = blcr::tools::awaitCheckpoint(handle);
  if (end.error == CR_ERESTARTED) {
    // Part of the job that it was asked to checkpoint, and restarted with it: the checkpoint was a good one.
    destination.disown();
    return 0;
  }
  reportLog(options, end.log, end.error);
  if (end.error != 0) return reportFailure(kName, options, "Checkpoint failed", end.error);
  if (!destination.commit(options.sync)) return reportFailure(kName, options, file, destination.error());
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
  options.extension.pipes = CRX_PIPES_REPLACE;
  const auto parsed = blcr::tools::parseArguments(argc, argv, kKnown, false);
  if (!parsed.problem.empty()) options.complainAbout(parsed.problem, kUsageError);
  for (const auto& option : parsed.options) apply(option, options);
  if (options.version) return blcr::tools::printVersion(kName);
  if (options.help) return std::fputs(kUsage, stdout) < 0 ? 1 : 0;
  if (parsed.operands.size() != 1) options.complainAbout("exactly one ID is needed", kUsageError);
  const long target = parsed.operands.empty() ? 0 : blcr::tools::parseNumber(parsed.operands.front(), INT_MAX);
  if (target < 0) options.complainAbout("no such ID: " + parsed.operands.front(), kUsageError);
  if (target == 0) options.complainAbout("an ID of a process is needed", kUsageError);
  if (options.problemStatus == 0) return checkpoint(options, static_cast<pid_t>(target));
  return blcr::tools::refuseCommandLine(kName, options, kUsage);
}
