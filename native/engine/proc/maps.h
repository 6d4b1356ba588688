// /proc/PID/maps and the flags of /proc/PID/smaps.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace blcr {

/** What the kernel puts behind the name of a file that has lost it, in maps and in links; a name may end so by itself. */
inline constexpr std::string_view kDeleted = " (deleted)";

struct PageRange {
  uint64_t start = 0, end = 0;
};

/** One line of /proc/PID/maps. */
struct Mapping {
  uint64_t start = 0, end = 0;
  int protection = 0;  // PROT_*
  bool shared = false;
  uint64_t offset = 0;
  uint32_t major = 0, minor = 0;
  uint64_t inode = 0;
  std::string path;  // unescaped; "[stack]" and the like included; kDeleted is kept: only the inode tells what it means

  friend bool operator==(const Mapping&, const Mapping&) = default;
};

/** EINVAL, naming the line, when the text is malformed or the areas are not ascending (a list that was read while it changed). */
[[nodiscard]] Result<std::vector<Mapping>> parseMaps(std::string_view text);

/** Mappings of a process. The text is not one atomic read unless the process is stopped: EINVAL then means "read again". */
[[nodiscard]] Result<std::vector<Mapping>> readMaps(pid_t pid);

/**
 * Two-letter codes of the VmFlags line ("rd wr mr gd …") by start address, and "pk" where a protection key other than 0 is used.
 * Source: proc(5), smaps.
 */
[[nodiscard]] Result<std::map<uint64_t, std::string>> parseVmFlags(std::string_view smaps);
[[nodiscard]] Result<std::map<uint64_t, std::string>> readVmFlags(pid_t pid);

/** True when `flags` of parseVmFlags contains the two-letter code. */
[[nodiscard]] bool hasVmFlag(std::string_view flags, std::string_view code);

/** Sizes of the pages of areas in bytes by start address, where they are not ordinary ones. */
[[nodiscard]] std::map<uint64_t, uint64_t> parseHugePages(std::string_view smaps);
[[nodiscard]] Result<std::map<uint64_t, uint64_t>> readHugePages(pid_t pid);

/** Ascending ranges of smaps that have pages, in memory or swapped out. */
[[nodiscard]] Result<std::vector<PageRange>> parsePopulated(std::string_view smaps);

}  // namespace blcr
