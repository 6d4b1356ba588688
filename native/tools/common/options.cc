#include "common/options.h"

#include <algorithm>
#include <cstdlib>

namespace blcr::tools {

namespace {

class Parser {
 public:
  Parser(int argc, char** argv, const std::vector<OptionSpec>& known) : argc_(argc), argv_(argv), known_(known) {}

  ParsedArguments run(bool stopAtOperand) {
    bool optionsOver = false;
    while (at_ < argc_ && parsed_.problem.empty()) {
      const std::string_view text = argv_[at_++];
      if (!optionsOver && text == "--") {
        optionsOver = true;
      } else if (!optionsOver && text.starts_with("--")) {
        takeLong(text.substr(2));
      } else if (!optionsOver && text.size() > 1 && text[0] == '-') {
        takeLetters(text.substr(1));
      } else {
        optionsOver = optionsOver || stopAtOperand;
        parsed_.operands.emplace_back(text);
      }
    }
    return std::move(parsed_);
  }

 private:
  /** The option of that name, or the only one that begins so. */
  const OptionSpec* findName(std::string_view name) {
    const OptionSpec* found = nullptr;
    for (const OptionSpec& spec : known_) {
      if (spec.name == name) return &spec;
      if (name.empty() || !spec.name.starts_with(name)) continue;
      if (found != nullptr) {
        parsed_.problem = "option --" + std::string(name) + " is ambiguous";
        return nullptr;
      }
      found = &spec;
    }
    if (found == nullptr) parsed_.problem = "unknown option --" + std::string(name);
    return found;
  }

  void takeLong(std::string_view text) {
    const size_t equals = text.find('=');
    const OptionSpec* const spec = findName(text.substr(0, equals));
    if (spec == nullptr) return;
    const bool attached = equals != std::string_view::npos;
    if (attached && spec->value == Value::kNone) {
      parsed_.problem = "option --" + std::string(spec->name) + " takes no value";
    } else if (attached || spec->value != Value::kNeeded) {
      parsed_.options.push_back({spec->name, attached ? std::string(text.substr(equals + 1)) : ""});
    } else {
      takeNext(*spec);
    }
  }

  void takeLetters(std::string_view letters) {
    for (size_t index = 0; index < letters.size() && parsed_.problem.empty(); ++index) {
      const char letter = letters[index];
      const auto spec = std::find_if(known_.begin(), known_.end(), [letter](const OptionSpec& one) { return one.letter == letter; });
      if (spec == known_.end()) {
        parsed_.problem = std::string("unknown option -") + letter;
      } else if (spec->value == Value::kNone) {
        parsed_.options.push_back({spec->name, ""});
      } else if (index + 1 < letters.size()) {
        parsed_.options.push_back({spec->name, std::string(letters.substr(index + 1))});
        return;
      } else {
        takeNext(*spec);
      }
    }
  }

  void takeNext(const OptionSpec& spec) {
    if (at_ >= argc_) {
      parsed_.problem = "option --" + std::string(spec.name) + " needs a value";
      return;
    }
    parsed_.options.push_back({spec.name, argv_[at_++]});
  }

  int argc_, at_ = 1;
  char** argv_;
  const std::vector<OptionSpec>& known_;
  ParsedArguments parsed_;
};

}  // namespace

ParsedArguments parseArguments(int argc, char** argv, const std::vector<OptionSpec>& known, bool stopAtOperand) {
  return Parser(argc, argv, known).run(stopAtOperand);
}

long parseNumber(const std::string& text, long limit) {
  char* end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 10);
  return !text.empty() && *end == '\0' && value >= 0 && value <= limit ? value : -1;
}

}  // namespace blcr::tools
