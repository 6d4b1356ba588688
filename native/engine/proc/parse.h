// Reading numbers out of the kernel's text files, strictly.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace blcr {

/** Takes an unsigned number of `base` 8, 10 or 16 off the front of `text`; nullopt (text unchanged) when there is none or it overflows. */
inline std::optional<uint64_t> takeNumber(std::string_view& text, unsigned base) {
  uint64_t value = 0;
  size_t used = 0;
  for (; used < text.size(); ++used) {
    const char c = text[used];
    unsigned digit = 99;
    if (c >= '0' && c <= '9') digit = unsigned(c - '0');
    if (c >= 'a' && c <= 'f') digit = unsigned(c - 'a') + 10;
    if (digit >= base) break;
    if (value > (UINT64_MAX - digit) / base) return std::nullopt;
    value = value * base + digit;
  }
  if (used == 0) return std::nullopt;
  text.remove_prefix(used);
  return value;
}

/** Takes one expected character off the front. */
inline bool takeChar(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

inline void skipBlanks(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
}

/** Takes the front up to the next line feed (which is dropped). */
inline std::string_view takeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

/** The blank-separated field at the front. */
inline std::string_view takeField(std::string_view& text) {
  skipBlanks(text);
  const size_t end = text.find_first_of(" \t");
  const std::string_view field = text.substr(0, end);
  text.remove_prefix(field.size());
  return field;
}

}  // namespace blcr
