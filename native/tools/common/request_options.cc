#include "common/request_options.h"

#include <signal.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <span>

#include "libcr.h"

namespace blcr::tools {

namespace {

struct Choice {
  std::string_view name;
  int value;
};

constexpr Choice kSignals[] = {{"run", 0},        {"stop", SIGSTOP},  {"freeze", SIGSTOP}, {"term", SIGTERM},
                               {"kill", SIGKILL}, {"abort", SIGABRT}, {"cont", SIGCONT}};
constexpr Choice kLogs[] = {
    {"kmsg-none", int(LogLevel::kNone)}, {"kmsg-error", int(LogLevel::kError)}, {"kmsg-warning", int(LogLevel::kWarning)}};

const Choice* find(std::span<const Choice> choices, std::string_view name) {
  for (const Choice& choice : choices) {
    if (choice.name == name) return &choice;
  }
  return nullptr;
}

/** Where the context is: once only. */
bool applyPlace(const ParsedOption& option, RequestOptions& into) {
  if (option.name != "file" && option.name != "fd" && option.name != "dir") return false;
  if (into.hasPlace()) {
    into.complainAbout("more than one place for the context", EINVAL);
  } else if (option.name == "dir") {
    into.complainAbout("a directory for the context is not implemented", EINVAL);
  } else if (option.name == "file") {
    into.file = option.value;
  } else if ((into.fd = static_cast<int>(parseNumber(option.value, INT_MAX))) < 0) {
    into.complainAbout("no such descriptor: " + option.value, option.value.starts_with('-') ? EINVAL : kUsageError);
  }
  return true;
}

}  // namespace

void RequestOptions::complainAbout(std::string text, int status) {
  if (problemStatus != 0) return;
  problem = std::move(text);
  problemStatus = status;
}

std::vector<OptionSpec> withRequestOptions(std::vector<OptionSpec> own) {
  const std::vector<OptionSpec> common = {
      {"file", 'f', Value::kNeeded},
      {"fd", 'F', Value::kNeeded},
      {"dir", 'd', Value::kNeeded},
      {"signal", 'S', Value::kNeeded},
      {"run", 0},
      {"stop", 0},
      {"freeze", 0},
      {"term", 0},
      {"kill", 0},
      {"abort", 0},
      {"cont", 0},
      {"kmsg-none", 0},
      {"kmsg-error", 0},
      {"kmsg-warning", 0},
      {"quiet", 'q'},
      {"help", 'h'},
      {"usage", '?'},
  };
  own.insert(own.end(), common.begin(), common.end());
  return own;
}

bool applyRequestOption(const ParsedOption& option, RequestOptions& into) {
  if (const Choice* choice = find(kSignals, option.name)) return into.signal = choice->value, true;
  if (const Choice* choice = find(kLogs, option.name)) return into.log = LogLevel(choice->value), true;
  if (applyPlace(option, into)) return true;
  if (option.name == "signal") {
    into.signal = static_cast<int>(parseNumber(option.value, NSIG - 1));
    if (into.signal <= 0) into.complainAbout("no such signal: " + option.value + "; 1 to " + std::to_string(NSIG - 1), EINVAL);
  } else if (option.name == "quiet") {
    into.verbosity = Verbosity::kQuiet;
  } else if (option.name == "verbose") {
    into.verbosity = Verbosity::kVerbose;
  } else if (option.name == "help" || option.name == "usage") {
    into.help = true;
  } else if (option.name == "version") {
    into.version = true;
  } else {
    return false;
  }
  return true;
}

int reportFailure(const std::string& name, const RequestOptions& options, const std::string& what, int error) {
  return reportFailure(name, options, what, error, cr_strerror(error));
}

int reportFailure(const std::string& name, const RequestOptions& options, const std::string& what, int error, const char* reason) {
  if (options.verbosity != Verbosity::kQuiet) complain(name, what + ": " + reason);
  return error & 0xff;
}

int refuseCommandLine(const std::string& name, const RequestOptions& options, const char* usage) {
  if (options.verbosity != Verbosity::kQuiet) {
    complain(name, options.problem);
    if (options.problemStatus == kUsageError) std::fputs(usage, stderr);
  }
  return options.problemStatus;
}

void reportLog(const RequestOptions& options, const std::string& log, int error) {
  if (options.verbosity == Verbosity::kQuiet || options.log == LogLevel::kNone) return;
  if (options.log == LogLevel::kWarning || error != 0) return showLog(log);
  showLog(log, "WARN_");  // it succeeded, and left something out
}

}  // namespace blcr::tools
