// Pages that a process still has in common with the one it was forked from.
#pragma once

#include <span>
#include <vector>

#include "image/format.h"
#include "image/model.h"
#include "proc/maps.h"
#include "trace/tracee.h"

namespace blcr {

/**
 * Compares pages of one process with those of Process::forkedFrom. Only the content counts: whether the kernel shares the page is not told
 * to users, and who has the same content may as well share it.
 */
class InheritedPages {
 public:
  /** `source` is where the other's pages are read. Of a file's pages only those count that are its own, too. */
  InheritedPages(const image::Process& own, const image::Process& other, pid_t source);

  /** Compares the pages of [address, address + data size), which lies in one window. */
  void compare(uint64_t address, std::span<const std::byte> data);
  /** Of the pages that were compared last. */
  [[nodiscard]] bool isSame(uint64_t address) const { return same_[(address - base_) / kPage]; }
  [[nodiscard]] bool areSome() const { return some_; }
  /** Whether any page of [start, end) can be the other's. */
  [[nodiscard]] bool mayBe(uint64_t start, uint64_t end) const;
  [[nodiscard]] const std::vector<image::SameRange>& ranges() const { return ranges_; }

 private:
  static constexpr uint64_t kPage = 4096;
  void comparePiece(uint64_t start, uint64_t end, std::span<const std::byte> data);
  [[nodiscard]] std::vector<PageRange>::const_iterator firstBehind(uint64_t address) const;
  std::vector<PageRange> pieces_;  // what both have
  RemoteMemory other_;
  std::vector<std::byte> buffer_;
  uint64_t base_ = 0;
  std::vector<bool> same_;
  bool some_ = false;
  std::vector<image::SameRange> ranges_;
};

}  // namespace blcr
