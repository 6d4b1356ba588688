// Compiled into a section of its own and copied from there into the copy: everything here must be inlined, and may use neither data nor
// functions of this program, nor what compilers add to code (stack protectors, sanitizers, calls of memset).
#include "dump/memory/send_loop.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
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
constexpr uint32_t kAhead = 8 * kPage;  // of the page that is looked at: by then its first words have come from memory

BLCR_INLINE long call(long number, long a, long b, long c, long d, long e = 0, long f = 0) {
  long result = number;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}

/** The beginning of a frame as it is sent. */
struct Opening {
  image::FrameHeader header;
  image::PagePrefix prefix;
};

/** Memory of the copy for openings that are lent with the pages behind them: like these, they are never changed again. */
struct Openings {
  static constexpr uint64_t kSize = 16 * kPage;
  uint64_t next, end;
};

/** Where to write an opening that may be lent; null when there is no memory for it. */
BLCR_INLINE Opening* newOpening(Openings* openings) {
  if (openings->next + sizeof(Opening) > openings->end) {
    const long area = call(SYS_mmap, 0, Openings::kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area < 0) return nullptr;
    openings->next = uint64_t(area);
    openings->end = openings->next + Openings::kSize;
  }
  auto* opening = reinterpret_cast<Opening*>(openings->next);
  openings->next += sizeof(Opening);
  return opening;
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

/** Writes the parts, or lends their pages, in as few calls as the output allows: each may wake a pipe's reader. Returns an errno. */
BLCR_INLINE int put(const SendBoard* board, iovec* parts, long count, bool lend) {
  while (count != 0) {
    const long done = lend ? call(SYS_vmsplice, board->fd, reinterpret_cast<long>(parts), count, 0)
                           : call(SYS_writev, board->fd, reinterpret_cast<long>(parts), count, 0);
    if (done <= 0) {
      const int error = trouble(board, done);
      if (error != 0) return error;
      continue;
    }
    for (uint64_t left = uint64_t(done); left != 0;) {
      const uint64_t taken = left < parts->iov_len ? left : parts->iov_len;
      parts->iov_base = reinterpret_cast<void*>(reinterpret_cast<uint64_t>(parts->iov_base) + taken);
      parts->iov_len -= taken;
      left -= taken;
      if (parts->iov_len != 0) continue;
      ++parts;
      --count;
    }
  }
  return 0;
}

BLCR_INLINE void fill(const SendBoard* board, Opening* opening, uint64_t from, uint32_t length) {
  opening->prefix.address = from;
  opening->prefix.space = board->space;
  opening->prefix.reserved = 0;
  opening->header.type = image::FrameType::kPage;
  opening->header.length = uint32_t(sizeof(image::PagePrefix)) + length;
  opening->header.cut = uint32_t(sizeof(image::PagePrefix)) + uint32_t((image::kUnit - from % image::kUnit) % image::kUnit);
  opening->header.crc = 0;
  if (board->checksum == 0) return;
  const uint32_t crc = checksum(board, ~0u, reinterpret_cast<const uint64_t*>(&opening->prefix), sizeof opening->prefix);
  opening->header.crc = ~checksum(board, crc, reinterpret_cast<const uint64_t*>(from), length);
}

/** One PAGE frame. */
BLCR_INLINE int send(SendBoard* board, Openings* openings, SendSlot* slot, uint64_t from, uint64_t to) {
  const uint32_t length = uint32_t(to - from);
  static_assert(sizeof(Opening) == sizeof(image::FrameHeader) + sizeof(image::PagePrefix));
  Opening* const lent = board->lends != 0 && length >= kWorthLending ? newOpening(openings) : nullptr;
  Opening own;
  Opening* const opening = lent != nullptr ? lent : &own;
  fill(board, opening, from, length);
  SentFrame& sent = slot->sent[slot->frames];
  sent.address = from;
  sent.length = length;
  sent.crc = opening->header.crc;
  ++slot->frames;
  iovec parts[2] = {{opening, sizeof *opening}, {reinterpret_cast<void*>(from), length}};
  return put(board, parts, 2, lent != nullptr);
}

BLCR_INLINE int carryOut(SendBoard* board, Openings* openings, SendSlot* slot) {
  slot->frames = 0;
  if (slot->length == kNothingMore) return int(-call(SYS_close, board->fd, 0, 0, 0));
  const uint64_t end = slot->address + slot->length;
  uint64_t from = slot->address;  // begin of the run of non-zero pages
  for (uint64_t at = slot->address; at < end; at += kPage) {
    __builtin_prefetch(reinterpret_cast<const void*>(at + kAhead));
    if (!isZero(at)) continue;
    if (at > from) {
      const int error = send(board, openings, slot, from, at);
      if (error != 0) return error;
    }
    from = at + kPage;
  }
  return end > from ? send(board, openings, slot, from, end) : 0;
}

}  // namespace

extern "C" BLCR_IN_COPY __attribute__((section("blcr_send"), noinline, used)) void blcr_send_loop(SendBoard* board) {
  Openings openings;
  openings.next = openings.end = 0;
  for (uint32_t next = 0;;) {
    while (__atomic_load_n(&board->ordered, __ATOMIC_ACQUIRE) == next) {
      call(SYS_futex, reinterpret_cast<long>(&board->ordered), FUTEX_WAIT, long(next), 0);
    }
    if (__atomic_load_n(&board->error, __ATOMIC_RELAXED) == 0) {
      const int error = carryOut(board, &openings, &board->slots[next % SendBoard::kSlots]);
      if (error != 0) __atomic_store_n(&board->error, error, __ATOMIC_RELAXED);
    }
    ++next;
    __atomic_store_n(&board->done, next, __ATOMIC_RELEASE);
    // Whoever gives orders is not woken for each of them: only in time to give more, and for the last one.
    if (next % (SendBoard::kSlots / 2) != 0 && next != __atomic_load_n(&board->ordered, __ATOMIC_ACQUIRE)) continue;
    call(SYS_futex, reinterpret_cast<long>(&board->done), FUTEX_WAKE, 1, 0);
  }
}

extern "C" const char __start_blcr_send[], __stop_blcr_send[];

std::span<const std::byte> sendLoopCode() { return std::as_bytes(std::span(__start_blcr_send, __stop_blcr_send)); }

}  // namespace blcr
