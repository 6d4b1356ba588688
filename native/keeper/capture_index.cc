// The index file of a capture: one line an entry, tab separated.
#include <cstdio>
#include <optional>

#include "capture.h"
#include "proc/parse.h"

namespace blcr {

namespace {

std::string encodePath(std::string_view path) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && byte != '%') {
      encoded.push_back(c);
    } else {
      encoded.append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  return encoded;
}

int hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::optional<std::string> decodePath(std::string_view encoded) {
  std::string path;
  for (size_t at = 0; at < encoded.size(); ++at) {
    if (encoded[at] != '%') {
      path.push_back(encoded[at]);
      continue;
    }
    if (encoded.size() - at < 3) return std::nullopt;
    const int high = hexDigit(encoded[at + 1]), low = hexDigit(encoded[at + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    path.push_back(static_cast<char>(high * 16 + low));
    at += 2;
  }
  return path;
}

/** Takes the fields of a line, each after its tab; once one is wrong, `good` stays false. */
struct Fields {
  std::string_view rest;
  bool good = true;

  uint64_t number(unsigned base) {
    if (!takeChar(rest, '\t')) good = false;
    return digits(base);
  }
  int64_t signedNumber() {
    if (!takeChar(rest, '\t')) good = false;
    const bool negative = takeChar(rest, '-');
    const uint64_t value = digits(10);
    if (value > uint64_t(INT64_MAX)) good = false;
    return negative ? -int64_t(value & INT64_MAX) : int64_t(value & INT64_MAX);
  }

 private:
  uint64_t digits(unsigned base) {
    const auto value = good ? takeNumber(rest, base) : std::nullopt;
    if (!value) good = false;
    return value.value_or(0);
  }
};

}  // namespace

bool IndexEntry::sameAs(const IndexEntry& other) const {
  if (kind != other.kind) return false;
  return kind == 'd' || (size == other.size && mtimeNs == other.mtimeNs && inode == other.inode);
}

std::string formatIndexLine(const IndexEntry& entry) {
  char front[128];
  std::snprintf(front, sizeof front, "%c\t%d\t%o\t%llu\t%lld\t%llu\t", entry.kind, entry.copied ? 1 : 0, entry.mode,
                static_cast<unsigned long long>(entry.size), static_cast<long long>(entry.mtimeNs),
                static_cast<unsigned long long>(entry.inode));
  return front + encodePath(entry.path) + "\n";
}

Result<IndexEntry> parseIndexLine(std::string_view line) {
  const Error malformed{EINVAL, "malformed line \"" + std::string(line.substr(0, 100)) + "\""};
  if (line.empty() || std::string_view("fdlx").find(line[0]) == std::string_view::npos) return malformed;
  IndexEntry entry;
  entry.kind = line[0];
  Fields fields{line.substr(1)};
  const uint64_t copied = fields.number(10);
  const uint64_t mode = fields.number(8);
  entry.size = fields.number(10);
  entry.mtimeNs = fields.signedNumber();
  entry.inode = fields.number(10);
  if (!fields.good || copied > 1 || mode > 07777 || !takeChar(fields.rest, '\t')) return malformed;
  entry.copied = copied == 1;
  entry.mode = uint32_t(mode);
  auto path = decodePath(fields.rest);
  if (!path || path->empty()) return malformed;
  entry.path = *std::move(path);
  return entry;
}

}  // namespace blcr
