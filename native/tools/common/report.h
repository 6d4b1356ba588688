// How the utilities talk.
#pragma once

#include <string>
#include <string_view>

namespace blcr::tools {

inline constexpr int kUsageError = 255;  // BLCR's exit code for a wrong command line

enum class Verbosity { kQuiet, kNormal, kVerbose };
/** Which of the keeper's log is shown: nothing, of failed requests, always. */
enum class LogLevel { kNone, kError, kWarning };

/** "name: text" on the standard error. */
void complain(const std::string& name, const std::string& text);

/** Complains with the text of an errno or CR_E* value; returns the exit code, its low byte. */
int failWith(const std::string& name, const std::string& what, int error);

/** Prints the lines of a request's log that begin so, each after "- ". */
void showLog(const std::string& log, std::string_view beginning = {});

/** `--version`. */
int printVersion(const std::string& name);

}  // namespace blcr::tools
