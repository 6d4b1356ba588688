#include "proc/maps.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/io.h"
#include "proc/parse.h"

namespace blcr {
namespace {

/** "start-end" at the front of a line. */
bool takeRange(std::string_view& line, Mapping& into) {
  const auto start = takeNumber(line, 16);
  if (!start || !takeChar(line, '-')) return false;
  const auto end = takeNumber(line, 16);
  if (!end || *end <= *start || ((*start | *end) & 4095) != 0) return false;
  into.start = *start;
  into.end = *end;
  return takeChar(line, ' ');
}

bool takePermissions(std::string_view& line, Mapping& into) {
  if (line.size() < 5) return false;
  static constexpr char kLetters[] = "rwx";
  static constexpr int kBits[] = {PROT_READ, PROT_WRITE, PROT_EXEC};
  for (size_t i = 0; i < 3; ++i) {
    if (line[i] == kLetters[i]) {
      into.protection |= kBits[i];
    } else if (line[i] != '-') {
      return false;
    }
  }
  if (line[3] != 's' && line[3] != 'p') return false;
  into.shared = line[3] == 's';
  line.remove_prefix(4);
  return takeChar(line, ' ');
}

/** The kernel writes a line feed in a path as \012 and, for once, leaves a backslash alone. */
std::string unescape(std::string_view text) {
  std::string path;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 4) == "\\012") {
      path.push_back('\n');
      i += 3;
    } else {
      path.push_back(text[i]);
    }
  }
  return path;
}

std::optional<Mapping> parseLine(std::string_view line) {
  Mapping mapping;
  if (!takeRange(line, mapping) || !takePermissions(line, mapping)) return std::nullopt;
  const auto offset = takeNumber(line, 16);
  if (!offset || !takeChar(line, ' ')) return std::nullopt;
  const auto major = takeNumber(line, 16);
  if (!major || !takeChar(line, ':')) return std::nullopt;
  const auto minor = takeNumber(line, 16);
  if (!minor || !takeChar(line, ' ')) return std::nullopt;
  const auto inode = takeNumber(line, 10);
  if (!inode || *major > UINT32_MAX || *minor > UINT32_MAX) return std::nullopt;
  mapping.offset = *offset;
  mapping.major = uint32_t(*major);
  mapping.minor = uint32_t(*minor);
  mapping.inode = *inode;
  skipBlanks(line);
  mapping.path = unescape(line);
  return mapping;
}

/** What else than flags is said of an area. */
struct Smaps {
  uint64_t start = 0;
  bool closed = false;  // PROT_NONE
  uint64_t size = 0, held = 0, protectionKey = 0;
};

void takeSize(std::string_view key, std::string_view value, Smaps& into) {
  skipBlanks(value);
  const uint64_t number = takeNumber(value, 10).value_or(0);
  if (key == "Size:") into.size = number;
  if (key == "Rss:" || key == "Swap:") into.held += number;
  if (key == "ProtectionKey:") into.protectionKey = number;
}

/**
 * Older kernels do not show MLOCK_ONFAULT (lf): seen by pages that are not there although the area is locked. Taken for the other kind,
 * they would all be made at once.
 */
std::string flagsOf(const Smaps& area, std::string_view flags) {
  std::string text(flags);
  if (area.protectionKey != 0) text += " pk";
  if (!area.closed && area.held < area.size && hasVmFlag(flags, "lo") && !hasVmFlag(flags, "lf")) text += " lf";
  return text;
}

}  // namespace

Result<std::vector<Mapping>> parseMaps(std::string_view text) {
  std::vector<Mapping> mappings;
  while (!text.empty()) {
    const std::string_view line = takeLine(text);
    auto mapping = parseLine(line);
    if (!mapping) return Error{EINVAL, "maps: malformed line: " + std::string(line.substr(0, 80))};
    // The vsyscall page is the kernel's, at one address in every process.
    if (mapping->path == "[vsyscall]") continue;
    if (!mappings.empty() && mapping->start < mappings.back().end) return Error{EINVAL, "maps: areas out of order"};
    mappings.push_back(*std::move(mapping));
  }
  return mappings;
}

Result<std::vector<Mapping>> readMaps(pid_t pid) {
  auto text = readFile("/proc/" + std::to_string(pid) + "/maps");
  if (!text) return text.error();
  return parseMaps(*text);
}

Result<std::map<uint64_t, std::string>> parseVmFlags(std::string_view smaps) {
  std::map<uint64_t, std::string> flags;
  std::optional<Smaps> area;  // whose flags are due
  while (!smaps.empty()) {
    std::string_view line = takeLine(smaps);
    const std::string_view all = line;
    Mapping mapping;
    // Keys begin with a capital letter, areas with a hexadecimal digit in lower case.
    if (takeRange(line, mapping)) {
      area.emplace();
      area->start = mapping.start;
      area->closed = line.starts_with("---");
      continue;
    }
    const std::string_view key = takeField(line = all);
    if (key == "VmFlags:") {
      if (!area) return Error{EINVAL, "smaps: flags without an area"};
      flags[area->start] = flagsOf(*area, line);
      area.reset();
    } else if (area) {
      takeSize(key, line, *area);
    }
  }
  return flags;
}

Result<std::map<uint64_t, std::string>> readVmFlags(pid_t pid) {
  auto text = readFile("/proc/" + std::to_string(pid) + "/smaps");
  if (!text) return text.error();
  return parseVmFlags(*text);
}

std::map<uint64_t, uint64_t> parseHugePages(std::string_view smaps) {
  std::map<uint64_t, uint64_t> sizes;
  uint64_t start = 0;
  while (!smaps.empty()) {
    std::string_view line = takeLine(smaps);
    Mapping mapping;
    if (takeRange(line, mapping)) {
      start = mapping.start;
      continue;
    }
    if (takeField(line) != "KernelPageSize:") continue;
    skipBlanks(line);
    const uint64_t kilobytes = takeNumber(line, 10).value_or(0);
    if (kilobytes > 4) sizes[start] = kilobytes * 1024;
  }
  return sizes;
}

Result<std::map<uint64_t, uint64_t>> readHugePages(pid_t pid) {
  auto text = readFile("/proc/" + std::to_string(pid) + "/smaps");
  if (!text) return text.error();
  return parseHugePages(*text);
}

Result<std::vector<PageRange>> parsePopulated(std::string_view smaps) {
  constexpr std::array<std::string_view, 4> kSizes{"Rss:", "Swap:", "Shared_Hugetlb:", "Private_Hugetlb:"};
  std::vector<PageRange> populated;
  PageRange area;
  while (!smaps.empty()) {
    std::string_view line = takeLine(smaps);
    Mapping mapping;
    if (takeRange(line, mapping)) {
      area = {mapping.start, mapping.end};
      continue;
    }
    if (std::find(kSizes.begin(), kSizes.end(), takeField(line)) == kSizes.end()) continue;
    skipBlanks(line);
    const auto size = takeNumber(line, 10);
    if (!size || area.end == 0) return Error{EINVAL, "smaps: a size without a number or an area"};
    if (*size > 0 && (populated.empty() || populated.back().start != area.start)) populated.push_back(area);
  }
  return populated;
}

bool hasVmFlag(std::string_view flags, std::string_view code) {
  while (!flags.empty()) {
    if (takeField(flags) == code) return true;
  }
  return false;
}

}  // namespace blcr
