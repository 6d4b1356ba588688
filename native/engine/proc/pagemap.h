// Which pages of an area hold data: /proc/PID/pagemap.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "proc/maps.h"

namespace blcr {

/**
 * Finds pages through PAGEMAP_SCAN (Linux 6.7), or else by reading the map (also with BLCR_DISABLE=pagemap_scan). Works on any process that
 * may be traced, from any thread.
 */
class PageMap {
 public:
  [[nodiscard]] static Result<PageMap> open(pid_t pid);

  /**
   * Appends the ranges of [start, end) whose pages belong to the process alone: present or swapped, no page of the file behind, not the
   * zero page (the fall-back cannot see zero pages and includes them), no guard.
   */
  [[nodiscard]] Status privatePages(uint64_t start, uint64_t end, std::vector<PageRange>& into) const;

  /**
   * privatePages() of a first part of [start, end); the result is where the rest begins. A part ends with a number of pages found, not with
   * a distance: there may be TiBs between two pages. The fall-back does everything at once.
   */
  [[nodiscard]] Result<uint64_t> somePrivatePages(uint64_t start, uint64_t end, std::vector<PageRange>& into) const;

  /** Appends the guard regions (MADV_GUARD_INSTALL) in [start, end), which fault whatever the area's protection is. */
  [[nodiscard]] Status guards(uint64_t start, uint64_t end, std::vector<PageRange>& into) const;

 private:
  enum class Kind { kPrivate, kGuards };
  PageMap(pid_t pid, UniqueFd fd) : pid_(pid), fd_(std::move(fd)) {}
  /** Whether smaps says so; true when in doubt. */
  [[nodiscard]] bool mayHavePages(uint64_t start, uint64_t end) const;
  /** One step, of at most so many pages (0 = any number): where the next one begins, or the kernel's error. */
  [[nodiscard]] Result<uint64_t> scanSome(uint64_t start, uint64_t end, Kind kind, uint64_t maxPages, std::vector<PageRange>& into) const;
  [[nodiscard]] Status scan(uint64_t start, uint64_t end, Kind kind, std::vector<PageRange>& into) const;
  [[nodiscard]] Status readEntries(uint64_t start, uint64_t end, Kind kind, std::vector<PageRange>& into) const;
  pid_t pid_;
  UniqueFd fd_;
};

}  // namespace blcr
