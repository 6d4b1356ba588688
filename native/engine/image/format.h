// The context stream on the wire. Little endian, x86_64.
//
//   stream  := HEAD META+ (FILE | PAGE | SAME | DONE)* TRLR
//   frame   := FrameHeader payload[length]
//
// A reader that only stores contexts (lib/store) needs nothing but FrameHeader: `cut` tells where the payload may be divided so that
// unchanged memory gives the same pieces in the next checkpoint.
#pragma once

#include <cstdint>

namespace blcr::image {

inline constexpr uint32_t fourcc(char a, char b, char c, char d) {
  return uint32_t(uint8_t(a)) | uint32_t(uint8_t(b)) << 8 | uint32_t(uint8_t(c)) << 16 | uint32_t(uint8_t(d)) << 24;
}

enum class FrameType : uint32_t {
  kHead = fourcc('H', 'E', 'A', 'D'),     // HeadPayload
  kMeta = fourcc('M', 'E', 'T', 'A'),     // a slice of the serialised Image (model.h); slices are concatenated
  kPage = fourcc('P', 'A', 'G', 'E'),     // PagePrefix, then page data
  kFile = fourcc('F', 'I', 'L', 'E'),     // FilePrefix, then content of an unlinked or carried file, pipe buffers too large for META, …
  kSame = fourcc('S', 'A', 'M', 'E'),     // SpacePrefix, then SameRange+
  kDone = fourcc('D', 'O', 'N', 'E'),     // SpacePrefix
  kTrailer = fourcc('T', 'R', 'L', 'R'),  // TrailerPayload
};

/** 16 bytes in front of every payload. */
struct FrameHeader {
  FrameType type;
  uint32_t length;  // of the payload, at most kMaxPayload
  uint32_t crc;     // CRC32C (Castagnoli) of the payload, or 0 in a PAGE frame of a stream whose HEAD says "pages unchecked"
  uint32_t cut;     // payload offset of the first cut; further cuts follow every kUnit bytes. cut >= length means: one piece
};
static_assert(sizeof(FrameHeader) == 16);

inline constexpr uint32_t kUnit = 64 * 1024;             // pieces end at multiples of this *memory address* (PAGE) or file offset (FILE)
inline constexpr uint32_t kWindow = 1024 * 1024;         // a PAGE frame never crosses a multiple of this address
inline constexpr uint32_t kMaxPayload = kWindow + 4096;  // META slices too
inline constexpr char kMagic[8] = {'B', 'L', 'C', 'R', 'X', '\r', '\n', 0x1a};
inline constexpr uint32_t kVersion = 15;

inline constexpr uint32_t kHeadPagesUnchecked = 1;

struct HeadPayload {
  char magic[8];
  uint32_t version;
  uint32_t flags;         // kHead*
  uint32_t architecture;  // ELF e_machine: 62 = x86_64
  uint32_t pageSize;
  uint64_t metaLength;  // of all META slices together
};
static_assert(sizeof(HeadPayload) == 32);

/** Pages of one address space: [address, address + data length), data length = frame length - sizeof(PagePrefix), whole pages. */
struct PagePrefix {
  uint64_t address;  // virtual address, or offset in the segment when space is a shared one
  uint32_t space;    // Image::processes index, or kSharedSpace | Image::shared index
  uint32_t reserved;
};
static_assert(sizeof(PagePrefix) == 16);
inline constexpr uint32_t kSharedSpace = 0x80000000u;

/**
 * SAME: pages of a process that are those of Process::forkedFrom at the same addresses. DONE: all frames of a process that others were
 * forked from have come; no SAME frame of these comes before.
 */
struct SpacePrefix {
  uint32_t space;  // Image::processes index
  uint32_t reserved;
};
static_assert(sizeof(SpacePrefix) == 8);

/** [start, end) of addresses, whole pages. */
struct SameRange {
  uint64_t start, end;
};
static_assert(sizeof(SameRange) == 16);

/** Bytes [offset, …) of Image::blobs[blob]. */
struct FilePrefix {
  uint64_t offset;
  uint32_t blob;
  uint32_t reserved;
};
static_assert(sizeof(FilePrefix) == 16);

struct TrailerPayload {
  uint64_t frames;  // frames before this one
  uint64_t bytes;   // bytes before this frame
  uint32_t chain;   // CRC32C over the FrameHeaders of all frames before this one: a frame cannot be dropped, doubled or moved
  uint32_t reserved;
};
static_assert(sizeof(TrailerPayload) == 24);

}  // namespace blcr::image
