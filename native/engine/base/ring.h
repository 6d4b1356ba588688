// Making and mapping an io_uring. The C library has no functions for them.
#pragma once

#include <linux/io_uring.h>

#include <array>
#include <cstdint>
#include <functional>
#include <span>

#include "base/result.h"
#include "base/unique_fd.h"

namespace blcr {

// Of newer kernels than Debian 12's headers. Source: linux/io_uring.h
inline constexpr uint32_t kRingNoArray = 1u << 16;      // IORING_SETUP_NO_SQARRAY
inline constexpr uint32_t kRingCompletions = 1u << 3;   // IORING_SETUP_CQSIZE
inline constexpr uint32_t kRingWideCalls = 1u << 10;    // IORING_SETUP_SQE128
inline constexpr uint32_t kRingWideResults = 1u << 11;  // IORING_SETUP_CQE32

/** What the sizes and places in a ring's memory follow from; flags are kRing… */
struct RingShape {
  uint32_t entries = 0, completions = 0, flags = 0;
};

/** Places in a ring's memory that io_uring_setup tells; the numbers are those of image::Ring::layout. */
enum RingPlace : size_t {
  kCallHead,
  kCallTail,
  kCallMask,
  kCallEntries,
  kCallFlags,
  kDropped,
  kArray,
  kResultHead,
  kResultTail,
  kResultMask,
  kResultEntries,
  kOverflow,
  kResults,
  kResultFlags,
  kRingPlaceCount
};
using RingPlaces = std::array<uint32_t, kRingPlaceCount>;

/** Bytes of the mapping with both queues, and of that with the calls. */
[[nodiscard]] uint64_t queueBytes(const RingShape& shape, const RingPlaces& places);
[[nodiscard]] uint64_t callBytes(const RingShape& shape);

/**
 * The mappings of a ring in this process. One that is smaller than the ring's memory fails from Linux 6.10 on, one that is larger before.
 */
class RingMemory {
 public:
  [[nodiscard]] static Result<RingMemory> map(int fd, const RingShape& shape, const RingPlaces& places);
  /** The queues alone, or the calls alone. */
  [[nodiscard]] static Result<RingMemory> mapQueues(int fd, uint64_t size);
  [[nodiscard]] static Result<RingMemory> mapCalls(int fd, uint64_t size);
  RingMemory(RingMemory&& other) noexcept;
  RingMemory& operator=(RingMemory&&) = delete;
  RingMemory(const RingMemory&) = delete;
  RingMemory& operator=(const RingMemory&) = delete;
  ~RingMemory();
  [[nodiscard]] std::span<char> queues() const { return queues_; }
  [[nodiscard]] std::span<char> calls() const { return calls_; }
  /** A counter or other word of the queues. */
  [[nodiscard]] uint32_t& word(uint32_t place) const { return *reinterpret_cast<uint32_t*>(queues_.data() + place); }

 private:
  RingMemory() = default;
  std::span<char> queues_, calls_;
};

struct MadeRing {
  UniqueFd fd;
  RingPlaces places{};
};

/**
 * A new ring of that shape, close-on-exec, and what `use` does with it, in a thread of its own: the kernel remembers each thread that has
 * used a ring, and wakes it when the ring goes. EPERM or ENOSYS where io_uring is forbidden, EINVAL where the kernel does not know a flag.
 */
[[nodiscard]] Result<MadeRing> makeRing(const RingShape& shape, const std::function<Status(const MadeRing&)>& use = {});

/** io_uring_enter(2); negative = -errno. */
[[nodiscard]] int enterRing(int fd, uint32_t submit, uint32_t flags);
/** io_uring_register(2); negative = -errno. */
[[nodiscard]] int registerWithRing(int fd, uint32_t operation, void* argument, uint32_t count);

}  // namespace blcr
