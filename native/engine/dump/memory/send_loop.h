// The code that a frozen copy runs to send its own pages, and the memory through which it is told which.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "image/format.h"

namespace blcr {

/** A PAGE frame that the copy has written. */
struct SentFrame {
  uint64_t address;
  uint32_t length;  // of the page data
  uint32_t crc;     // of the payload, 0 when not asked for
};

inline constexpr uint32_t kNothingMore = 0;  // a slot of this length: the output is to be closed

/** One window, or a part of one: an order of the keeper, and what became of it. */
struct SendSlot {
  static constexpr size_t kMaxFrames = image::kWindow / 4096 / 2;  // every second page zero
  uint64_t address;
  uint32_t length;
  uint32_t frames;
  SentFrame sent[kMaxFrames];
};

/**
 * Shared between the streaming thread, which orders, and the copy. Order number n is in slots[n % kSlots]. The first three words are only
 * accessed atomically, the first two are futexes.
 */
struct SendBoard {
  static constexpr uint32_t kSlots = 8;
  uint32_t ordered;  // orders given
  uint32_t done;     // orders carried out
  int32_t error;     // errno of what ended the copy's work, 0 while it goes on
  int32_t fd;        // the output in the copy
  uint32_t lends;    // the output is a pipe, which can take pages without their being copied
  uint32_t space, checksum;
  uint32_t shift[4][256];  // crc32cShift(kSendStream)
  SendSlot slots[kSlots];
};

inline constexpr size_t kSendStream = 1024;  // bytes of each of the checksum's three interleaved streams

/** Machine code of the loop, position-independent; its first byte is its entry, its only argument a SendBoard*. It never returns. */
[[nodiscard]] std::span<const std::byte> sendLoopCode();

}  // namespace blcr
