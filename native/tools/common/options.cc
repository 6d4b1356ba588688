#include "common/options.h"

#include <algorithm>
#include <cstdlib>

namespace blcr::tools {

namespace {

const OptionSpec* findName(const std::vector<OptionSpec>& known, std::string_view name) {
  const auto found = std::find_if(known.begin(), known.end(), [name](const OptionSpec& spec) { return spec.name == name; });
  return found == known.end() ? nullptr : &*found;
}

const OptionSpec* findLetter(const std::vector<OptionSpec>& known, char letter) {
  const auto found = std::find_if(known.begin(), known.end(), [letter](const OptionSpec& spec) { return spec.letter == letter; });
  return found == known.end() ? nullptr : &*found;
}

/** Takes argv[at] and perhaps its value apart; returns the next index, or 0 with a problem. */
int takeOption(int argc, char** argv, int at, const std::vector<OptionSpec>& known, ParsedArguments& parsed) {
  std::string_view text = argv[at];
  const bool isLong = text.substr(0, 2) == "--";
  const size_t equals = isLong ? text.find('=') : std::string_view::npos;
  const OptionSpec* const spec =
      isLong ? findName(known, text.substr(2, equals == std::string_view::npos ? equals : equals - 2)) : findLetter(known, text[1]);
  if (spec == nullptr) {
    parsed.problem = "unknown option " + std::string(text);
    return 0;
  }
  const bool attached = isLong ? equals != std::string_view::npos : text.size() > 2;
  if (attached && !spec->hasValue) {
    parsed.problem = "option --" + std::string(spec->name) + " takes no value";
    return 0;
  }
  if (attached) {
    parsed.options.push_back({spec->name, std::string(text.substr(isLong ? equals + 1 : 2))});
    return at + 1;
  }
  if (!spec->hasValue) {
    parsed.options.push_back({spec->name, ""});
    return at + 1;
  }
  if (at + 1 >= argc) {
    parsed.problem = "option --" + std::string(spec->name) + " needs a value";
    return 0;
  }
  parsed.options.push_back({spec->name, argv[at + 1]});
  return at + 2;
}

}  // namespace

ParsedArguments parseArguments(int argc, char** argv, const std::vector<OptionSpec>& known, bool stopAtOperand) {
  ParsedArguments parsed;
  bool optionsOver = false;
  for (int at = 1; at < argc;) {
    const std::string_view text = argv[at];
    if (!optionsOver && text == "--") {
      optionsOver = true;
      ++at;
    } else if (!optionsOver && text.size() > 1 && text[0] == '-') {
      at = takeOption(argc, argv, at, known, parsed);
      if (at == 0) return parsed;
    } else {
      optionsOver = optionsOver || stopAtOperand;
      parsed.operands.emplace_back(text);
      ++at;
    }
  }
  return parsed;
}

long parseNumber(const std::string& text, long limit) {
  char* end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 10);
  return !text.empty() && *end == '\0' && value >= 0 && value <= limit ? value : -1;
}

}  // namespace blcr::tools
