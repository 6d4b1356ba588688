#include "proc/multicast.h"

#include <algorithm>
#include <charconv>

namespace blcr {
namespace {

template <typename T>
bool toNumber(std::string_view text, T& value, int base) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return code == std::errc() && end == text.data() + text.size();
}

std::string_view nextWord(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(" \t"));
  line.remove_prefix(word.size());
  return word;
}

template <typename Take>
void forEachLine(std::string_view text, const Take& take) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    take(line);
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
}

}  // namespace

std::vector<MulticastGroup> parseIgmp(std::string_view text) {
  std::vector<MulticastGroup> groups;
  uint32_t interface = 0;
  forEachLine(text, [&](std::string_view line) {
    const bool isGroup = line.starts_with('\t');
    const std::string_view word = nextWord(line);
    uint32_t address = 0;
    if (!isGroup) {
      if (!toNumber(word, interface, 10)) interface = 0;
    } else if (interface != 0 && word.size() == 8 && toNumber(word, address, 16)) {
      groups.push_back({interface, std::string(reinterpret_cast<const char*>(&address), sizeof address)});
    }
  });
  return groups;
}

std::vector<MulticastGroup> parseIgmp6(std::string_view text) {
  std::vector<MulticastGroup> groups;
  forEachLine(text, [&](std::string_view line) {
    MulticastGroup group;
    if (!toNumber(nextWord(line), group.interface, 10)) return;
    nextWord(line);
    const std::string_view digits = nextWord(line);
    for (size_t at = 0; at + 2 <= digits.size(); at += 2) {
      uint8_t byte = 0;
      if (!toNumber(digits.substr(at, 2), byte, 16)) return;
      group.address.push_back(char(byte));
    }
    if (group.address.size() == 16) groups.push_back(std::move(group));
  });
  return groups;
}

}  // namespace blcr
