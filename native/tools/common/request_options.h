// What cr_checkpoint and cr_restart have in common on their command lines.
#pragma once

#include <string>
#include <vector>

#include "common/options.h"
#include "common/report.h"

namespace blcr::tools {

struct RequestOptions {
  int signal = 0;
  std::string file;  // "" and fd -1: not chosen
  int fd = -1;
  LogLevel log = LogLevel::kError;
  Verbosity verbosity = Verbosity::kNormal;
  std::string problem;    // what is wrong with the command line, empty when nothing is
  int problemStatus = 0;  // exit status for it; kUsageError shows the usage too
  bool help = false, version = false;

  /** Notes what is wrong; the first thing counts. */
  void complainAbout(std::string text, int status);
  /** The file or descriptor has been chosen before. */
  [[nodiscard]] bool hasPlace() const { return fd >= 0 || !file.empty(); }
};

/** Adds the common options to those of one utility. */
[[nodiscard]] std::vector<OptionSpec> withRequestOptions(std::vector<OptionSpec> own);

/** Applies one of the common options; false when it is none of them. */
[[nodiscard]] bool applyRequestOption(const ParsedOption& option, RequestOptions& into);

/** Complains on the standard error as --quiet allows, with the log where it is wanted; returns the exit status, the error's low byte. */
int reportFailure(const std::string& name, const RequestOptions& options, const std::string& what, int error);
/** The same in other words than libcr has for the error. */
int reportFailure(const std::string& name, const RequestOptions& options, const std::string& what, int error, const char* reason);
/** Says what is wrong with the command line, and the usage where that helps; returns the exit status. */
int refuseCommandLine(const std::string& name, const RequestOptions& options, const char* usage);
/** Shows the keeper's log of a request that ended with `error`, where it is wanted. */
void reportLog(const RequestOptions& options, const std::string& log, int error);

}  // namespace blcr::tools
