// Frames on a descriptor: Writer composes a context, Reader checks one front to end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "image/format.h"

namespace blcr::image {

/** Writes frames in order to a blocking or non-blocking descriptor (pipe, FIFO, file, socket). EPIPE is an error, never a signal. One
 * owner, any one thread at a time. */
class Writer {
 public:
  Writer(int fd, bool pagesUnchecked) : fd_(fd), pagesUnchecked_(pagesUnchecked) {}
  /** Writing ends with ECANCELED when `fd` becomes readable, also while a pipe without reader blocks it. -1 = never (default). */
  void cancelOn(int fd) { cancelFd_ = fd; }
  /** Page data goes into a pipe by reference (vmsplice) where that works: memory given to pages() must then never be changed again, only
   * unmapped or dropped (MADV_DONTNEED). Off by default. Returns whether it is on: the descriptor must be a pipe. */
  bool giveAwayPages();
  [[nodiscard]] Status head(uint64_t metaLength);
  [[nodiscard]] Status meta(std::string_view serialised);  // slices it
  /** `data` is whole pages of one space from `address`, inside one window. */
  [[nodiscard]] Status pages(uint32_t space, uint64_t address, std::span<const std::byte> data);
  /** Books a PAGE frame that somebody else has written to the descriptor: the one that pages() would have written. */
  void wrote(uint64_t address, uint32_t length, uint32_t crc);
  [[nodiscard]] Status same(uint32_t space, std::span<const SameRange> ranges);  // slices them
  [[nodiscard]] Status done(uint32_t space);
  [[nodiscard]] Status file(uint32_t blob, uint64_t offset, std::span<const std::byte> data);  // slices it
  [[nodiscard]] Status trailer();
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  [[nodiscard]] uint64_t pageCount() const { return pageCount_; }

 private:
  [[nodiscard]] Status frame(FrameType type, uint32_t cut, std::span<const std::byte> prefix, std::span<const std::byte> data,
                             bool checked);
  void book(const FrameHeader& header);
  int fd_;
  bool pagesUnchecked_;
  int cancelFd_ = -1;
  bool giveAway_ = false;
  uint64_t frames_ = 0, bytes_ = 0, pageCount_ = 0;
  uint32_t chain_ = 0;
};

/** One frame as read. `payload` stays valid until the next call of next(). */
struct Frame {
  FrameHeader header;
  std::span<const std::byte> payload;
};

/** Reads frames once, front to end. Truncation is EIO, anything malformed or failing its checksum EINVAL; both name the frame. */
class Reader {
 public:
  explicit Reader(int fd) : fd_(fd) {}
  [[nodiscard]] Result<HeadPayload> head();
  [[nodiscard]] Result<std::string> meta();  // all slices, after head()
  /** The next PAGE, SAME, DONE, FILE or TRAILER frame; the trailer has been verified when it is returned, and nothing follows it. */
  [[nodiscard]] Result<Frame> next();
  /** Gives the memory behind the last frame's payload away, which stays valid in it; `spare` (any string, used again) takes its place. */
  [[nodiscard]] std::string exchangeBuffer(std::string spare);
  /** Reading ends with ECANCELED when `fd` becomes readable. -1 = never (default). */
  void cancelOn(int fd) { cancelFd_ = fd; }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }

 private:
  [[nodiscard]] Result<Frame> read();
  [[nodiscard]] Status fill(std::byte* into, size_t length);
  [[nodiscard]] Status checkTrailer(const Frame& frame) const;
  int fd_;
  int cancelFd_ = -1;
  HeadPayload head_{};
  FrameHeader next_{};  // read ahead with the payload before it
  bool haveHeader_ = false, finished_ = false;
  std::string buffer_;
  uint64_t frames_ = 0, bytes_ = 0;
  uint32_t chain_ = 0;
};

}  // namespace blcr::image
