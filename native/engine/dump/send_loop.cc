// Compiled into a section of its own and copied from there into the copy: everything here must be inlined, and may use neither data nor
// functions of this program, nor what compilers add to code (stack protectors, sanitizers, calls of memset).
#include "dump/send_loop.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define BLCR_IN_COPY                                                \
  __attribute__((                                                   \
      target("sse4.2"), no_sanitize_address, no_sanitize_undefined, \
      optimize("O2", "no-tree-loop-distribute-patterns", "no-tree-vectorize", "no-stack-protector", "no-stack-clash-protection")))
#define BLCR_INLINE BLCR_IN_COPY __attribute__((always_inline)) static inline

namespace blcr {
namespace {

constexpr uint32_t kPage = 4096;
// Below this size a copy is cheaper than a page reference per pipe slot.
constexpr uint32_t kWorthLending = 32 * 1024;

BLCR_INLINE long call(long number, long a, long b, long c, long d) {
  long result = number;
  register long r10 __asm__("r10") = d;
  __asm__ volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
  return result;
}

BLCR_INLINE uint32_t shifted(const SendBoard* board, uint32_t crc) {
  return board->shift[0][crc & 0xff] ^ board->shift[1][crc >> 8 & 0xff] ^ board->shift[2][crc >> 16 & 0xff] ^ board->shift[3][crc >> 24];
}

/** Of whole words, from one register value to the next. Three streams hide the latency of the instruction. */
BLCR_INLINE uint32_t checksum(const SendBoard* board, uint32_t crc, const uint64_t* at, size_t length) {
  constexpr size_t kWords = kSendStream / 8;
  for (; length >= 3 * kSendStream; at += 3 * kWords, length -= 3 * kSendStream) {
    uint64_t first = crc, second = 0, third = 0;
    for (size_t i = 0; i < kWords; ++i) {
      first = __builtin_ia32_crc32di(first, at[i]);
      second = __builtin_ia32_crc32di(second, at[kWords + i]);
      third = __builtin_ia32_crc32di(third, at[2 * kWords + i]);
    }
    crc = shifted(board, shifted(board, uint32_t(first)) ^ uint32_t(second)) ^ uint32_t(third);
  }
  uint64_t wide = crc;
  for (size_t i = 0; i < length / 8; ++i) wide = __builtin_ia32_crc32di(wide, at[i]);
  return uint32_t(wide);
}

BLCR_INLINE bool isZero(uint64_t page) {
  const auto* words = reinterpret_cast<const uint64_t*>(page);
  for (size_t i = 0; i < kPage / 8; ++i) {
    if (words[i] != 0) return false;
  }
  return true;
}

/** After a failed call: 0 when it is to be repeated, else its errno. */
BLCR_INLINE int trouble(const SendBoard* board, long result) {
  if (result == -EINTR) return 0;
  if (result != -EAGAIN) return int(-result);
  pollfd entry{board->fd, POLLOUT, 0};
  call(SYS_poll, reinterpret_cast<long>(&entry), 1, -1, 0);
  return 0;
}

/** Writes, or lends the pages; returns an errno. */
BLCR_INLINE int put(const SendBoard* board, uint64_t address, uint64_t length, bool lend) {
  while (length != 0) {
    iovec part{reinterpret_cast<void*>(address), length};
    const long done = lend ? call(SYS_vmsplice, board->fd, reinterpret_cast<long>(&part), 1, 0)
                           : call(SYS_write, board->fd, long(address), long(length), 0);
    if (done <= 0) {
      const int error = trouble(board, done);
      if (error != 0) return error;
      continue;
    }
    address += uint64_t(done);
    length -= uint64_t(done);
  }
  return 0;
}

/** One PAGE frame. */
BLCR_INLINE int send(SendBoard* board, SendSlot* slot, uint64_t from, uint64_t to) {
  const uint32_t length = uint32_t(to - from);
  board->prefix.address = from;
  board->prefix.space = board->space;
  board->prefix.reserved = 0;
  board->header.type = image::FrameType::kPage;
  board->header.length = uint32_t(sizeof(image::PagePrefix)) + length;
  board->header.cut = uint32_t(sizeof(image::PagePrefix)) + uint32_t((image::kUnit - from % image::kUnit) % image::kUnit);
  board->header.crc = 0;
  if (board->checksum != 0) {
    uint32_t crc = checksum(board, ~0u, reinterpret_cast<const uint64_t*>(&board->prefix), sizeof board->prefix);
    board->header.crc = ~checksum(board, crc, reinterpret_cast<const uint64_t*>(from), length);
  }
  static_assert(offsetof(SendBoard, prefix) == offsetof(SendBoard, header) + sizeof(image::FrameHeader));
  const int error = put(board, reinterpret_cast<uint64_t>(&board->header), sizeof board->header + sizeof board->prefix, false);
  if (error != 0) return error;
  SentFrame& sent = slot->sent[slot->frames];
  sent.address = from;
  sent.length = length;
  sent.crc = board->header.crc;
  ++slot->frames;
  return put(board, from, length, length >= kWorthLending);
}

BLCR_INLINE int carryOut(SendBoard* board, SendSlot* slot) {
  slot->frames = 0;
  const uint64_t end = slot->address + slot->length;
  uint64_t from = slot->address;  // begin of the run of non-zero pages
  for (uint64_t at = slot->address; at < end; at += kPage) {
    if (!isZero(at)) continue;
    if (at > from) {
      const int error = send(board, slot, from, at);
      if (error != 0) return error;
    }
    from = at + kPage;
  }
  return end > from ? send(board, slot, from, end) : 0;
}

}  // namespace

extern "C" BLCR_IN_COPY __attribute__((section("blcr_send"), noinline, used)) void blcr_send_loop(SendBoard* board) {
  for (uint32_t next = 0;;) {
    while (__atomic_load_n(&board->ordered, __ATOMIC_ACQUIRE) == next) {
      call(SYS_futex, reinterpret_cast<long>(&board->ordered), FUTEX_WAIT, long(next), 0);
    }
    if (__atomic_load_n(&board->error, __ATOMIC_RELAXED) == 0) {
      const int error = carryOut(board, &board->slots[next % SendBoard::kSlots]);
      if (error != 0) __atomic_store_n(&board->error, error, __ATOMIC_RELAXED);
    }
    ++next;
    __atomic_store_n(&board->done, next, __ATOMIC_RELEASE);
    call(SYS_futex, reinterpret_cast<long>(&board->done), FUTEX_WAKE, 1, 0);
  }
}

extern "C" const char __start_blcr_send[], __stop_blcr_send[];

std::span<const std::byte> sendLoopCode() { return std::as_bytes(std::span(__start_blcr_send, __stop_blcr_send)); }

}  // namespace blcr
