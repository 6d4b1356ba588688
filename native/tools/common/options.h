// Command lines of BLCR's utilities.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace blcr::tools {

enum class Value { kNone, kNeeded, kOptional };  // optional: `--name=value` or nothing

/** One option: its long name without dashes, its letter (0 = none), whether a value follows. */
struct OptionSpec {
  std::string_view name;
  char letter;
  Value value = Value::kNone;
};

struct ParsedOption {
  std::string_view name;
  std::string value;
};

struct ParsedArguments {
  std::vector<ParsedOption> options;  // in order: later ones win
  std::vector<std::string> operands;
  std::string problem;  // what is wrong, empty when nothing is
};

/** As getopt_long(3): `--name`, `--name value`, `--name=value`, `--nam` when only one option begins so, `-x`, `-xvalue`, `-x value`,
 * `-xyz`;
 * `--` ends the options, and so does the first operand when `stopAtOperand`. */
[[nodiscard]] ParsedArguments parseArguments(int argc, char** argv, const std::vector<OptionSpec>& known, bool stopAtOperand);

/** A decimal number from 0 to `limit`; -1 when the text is none. */
[[nodiscard]] long parseNumber(const std::string& text, long limit);

}  // namespace blcr::tools
