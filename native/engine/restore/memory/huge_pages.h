// Huge pages that are asked for by size: a job that had them gets no others.
#pragma once

#include <sys/mman.h>
#include <sys/shm.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"

#ifndef SHM_HUGETLB
#define SHM_HUGETLB 04000
#endif

namespace blcr {

/** Flag of mmap(2), memfd_create(2) or shmget(2) together with the size of the pages, 0 for ordinary ones. */
constexpr uint64_t hugeFlags(uint8_t shift, uint64_t flag) { return shift == 0 ? 0 : flag | uint64_t(shift) << 26; }

/** An error of memory of such pages, 0 = an ordinary one, with what this node has of them. */
[[nodiscard]] Error explainHuge(const Error& error, uint8_t shift);

/** A file of huge pages, mapped here for a while: it cannot be written to otherwise. */
class HugeContent {
 public:
  HugeContent() = default;
  [[nodiscard]] static Result<HugeContent> map(int fd, uint64_t size, uint8_t shift);
  ~HugeContent();
  HugeContent(HugeContent&& other) noexcept;
  HugeContent& operator=(HugeContent&&) = delete;
  HugeContent(const HugeContent&) = delete;
  HugeContent& operator=(const HugeContent&) = delete;
  [[nodiscard]] std::byte* data() const { return at_; }

 private:
  std::byte* at_ = nullptr;
  uint64_t size_ = 0;
};

/** To memory of this process, where no page may be left: an error instead of a signal. */
[[nodiscard]] Status writeHuge(std::byte* to, std::span<const std::byte> from, uint8_t shift);

}  // namespace blcr
