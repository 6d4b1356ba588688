#include "image/stream.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/codes.h"
#include "base/features.h"
#include "image/crc32c.h"

namespace blcr::image {
namespace {

constexpr uint32_t kPageSize = 4096;
constexpr uint32_t kArchitecture = 62;                // EM_X86_64
constexpr uint64_t kMaxMeta = 1024ull * 1024 * 1024;  // read slice by slice, so a lying header costs nothing
constexpr uint32_t kSlice = kWindow;

std::span<const std::byte> asBytes(const void* data, size_t length) { return {static_cast<const std::byte*>(data), length}; }

/** Turns a SIGPIPE of this thread into nothing but the EPIPE that comes with it, also in programs that did not ignore the signal. */
class PipeSignalGuard {
 public:
  PipeSignalGuard() {
    sigset_t pending;
    sigpending(&pending);
    wasPending_ = sigismember(&pending, SIGPIPE) == 1;
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~PipeSignalGuard() {
    if (!wasPending_) {
      const timespec now{};
      while (sigtimedwait(&pipe_, nullptr, &now) == -1 && errno == EINTR) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  PipeSignalGuard(const PipeSignalGuard&) = delete;
  PipeSignalGuard& operator=(const PipeSignalGuard&) = delete;

 private:
  sigset_t pipe_{}, before_{};
  bool wasPending_ = false;
};

/** Until `fd` takes or has bytes. False when `cancelFd` is readable. */
bool waitFor(int fd, short events, int cancelFd) {
  pollfd entries[2] = {{fd, events, 0}, {cancelFd, POLLIN, 0}};  // poll ignores -1
  poll(entries, 2, -1);
  return entries[1].revents == 0;
}

/** One write that does not block when it could not be cancelled otherwise: RWF_NOWAIT works on pipes whatever the descriptor's own mode. */
ssize_t writeSome(int fd, std::span<iovec> parts, bool nowait) {
  if (!nowait) return writev(fd, parts.data(), int(parts.size()));
  const ssize_t written = pwritev2(fd, parts.data(), int(parts.size()), -1, RWF_NOWAIT);
  // Kernels (and kinds of files) without it: the write itself may then block.
  if (written < 0 && (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS)) return writev(fd, parts.data(), int(parts.size()));
  return written;
}

Status writeAll(int fd, int cancelFd, std::span<iovec> parts) {
  const PipeSignalGuard guard;
  struct stat info{};
  const bool nowait = cancelFd >= 0 && fstat(fd, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode));
  while (!parts.empty()) {
    if (parts.front().iov_len == 0) {
      parts = parts.subspan(1);
      continue;
    }
    const ssize_t written = writeSome(fd, parts, nowait);
    if (written < 0) {
      const int code = errno;
      if (code == EAGAIN && !waitFor(fd, POLLOUT, cancelFd)) return Error{ECANCELED, "writing the context was given up"};
      if (code == EAGAIN || code == EINTR) continue;
      errno = code;
      return systemError("writing the context");
    }
    for (size_t left = size_t(written); left != 0;) {
      const size_t taken = std::min(left, parts.front().iov_len);
      parts.front().iov_base = static_cast<std::byte*>(parts.front().iov_base) + taken;
      parts.front().iov_len -= taken;
      left -= taken;
      if (parts.front().iov_len == 0) parts = parts.subspan(1);
    }
  }
  return {};
}

/** Lends pages to a pipe. */
Status spliceAll(int fd, int cancelFd, std::span<const std::byte>& data) {
  const PipeSignalGuard guard;
  while (!data.empty()) {
    const iovec part{const_cast<std::byte*>(data.data()), data.size()};
    const ssize_t given = vmsplice(fd, &part, 1, SPLICE_F_NONBLOCK);
    if (given > 0) {
      data = data.subspan(size_t(given));
    } else if (errno == EAGAIN) {
      if (!waitFor(fd, POLLOUT, cancelFd)) return Error{ECANCELED, "writing the context was given up"};
    } else if (errno != EINTR) {
      return systemError("writing the context");
    }
  }
  return {};
}

Error malformed(uint64_t frame, const std::string& why) { return Error{EINVAL, "context frame " + std::to_string(frame) + ": " + why}; }

/** Of a PAGE frame. */
uint32_t cutOf(uint64_t address) { return uint32_t(sizeof(PagePrefix) + (kUnit - address % kUnit) % kUnit); }

bool isKnown(FrameType type) {
  return type == FrameType::kHead || type == FrameType::kMeta || type == FrameType::kPage || type == FrameType::kFile ||
         type == FrameType::kSame || type == FrameType::kDone || type == FrameType::kTrailer;
}

}  // namespace

bool Writer::giveAwayPages() {
  struct stat info{};
  giveAway_ = featureAllowed("vmsplice") && fstat(fd_, &info) == 0 && S_ISFIFO(info.st_mode);
  return giveAway_;
}

Status Writer::frame(FrameType type, uint32_t cut, std::span<const std::byte> prefix, std::span<const std::byte> data, bool checked) {
  FrameHeader header{type, uint32_t(prefix.size() + data.size()), 0, cut};
  if (checked) header.crc = crc32c(crc32c(0, prefix.data(), prefix.size()), data.data(), data.size());
  std::array<iovec, 3> parts{iovec{&header, sizeof header}, iovec{const_cast<std::byte*>(prefix.data()), prefix.size()},
                             iovec{const_cast<std::byte*>(data.data()), data.size()}};
  // Below this size a copy is cheaper than a page reference per pipe slot.
  constexpr size_t kWorthGiving = 32 * 1024;
  if (giveAway_ && type == FrameType::kPage && data.size() >= kWorthGiving) {
    BLCR_TRY(writeAll(fd_, cancelFd_, std::span(parts).first(2)));
    BLCR_TRY(spliceAll(fd_, cancelFd_, data));
  } else {
    BLCR_TRY(writeAll(fd_, cancelFd_, parts));
  }
  book(header);
  return {};
}

void Writer::book(const FrameHeader& header) {
  chain_ = crc32c(chain_, &header, sizeof header);
  ++frames_;
  bytes_ += sizeof header + header.length;
}

void Writer::wrote(uint64_t address, uint32_t length, uint32_t crc) {
  book({FrameType::kPage, uint32_t(sizeof(PagePrefix)) + length, crc, cutOf(address)});
  pageCount_ += length / kPageSize;
}

Status Writer::head(uint64_t metaLength) {
  HeadPayload head{};
  std::copy(std::begin(kMagic), std::end(kMagic), head.magic);
  head.version = kVersion;
  head.flags = pagesUnchecked_ ? kHeadPagesUnchecked : 0;
  head.architecture = kArchitecture;
  head.pageSize = kPageSize;
  head.metaLength = metaLength;
  return frame(FrameType::kHead, sizeof head, asBytes(&head, sizeof head), {}, true);
}

Status Writer::meta(std::string_view serialised) {
  for (size_t at = 0; at < serialised.size(); at += kSlice) {
    const std::string_view slice = serialised.substr(at, kSlice);
    BLCR_TRY(frame(FrameType::kMeta, uint32_t(slice.size()), {}, asBytes(slice.data(), slice.size()), true));
  }
  return {};
}

Status Writer::pages(uint32_t space, uint64_t address, std::span<const std::byte> data) {
  if (data.empty() || address % kPageSize != 0 || data.size() % kPageSize != 0 || address % kWindow + data.size() > kWindow)
    return Error{EINVAL, "a PAGE frame must be whole pages inside one window"};
  const PagePrefix prefix{address, space, 0};
  BLCR_TRY(frame(FrameType::kPage, cutOf(address), asBytes(&prefix, sizeof prefix), data, !pagesUnchecked_));
  pageCount_ += data.size() / kPageSize;
  return {};
}

Status Writer::same(uint32_t space, std::span<const SameRange> ranges) {
  constexpr size_t kMost = kWindow / sizeof(SameRange);
  for (; !ranges.empty(); ranges = ranges.subspan(std::min(kMost, ranges.size()))) {
    const SpacePrefix prefix{space, 0};
    const auto slice = std::as_bytes(ranges.first(std::min(kMost, ranges.size())));
    BLCR_TRY(frame(FrameType::kSame, uint32_t(sizeof prefix + slice.size()), asBytes(&prefix, sizeof prefix), slice, true));
  }
  return {};
}

Status Writer::done(uint32_t space) {
  const SpacePrefix prefix{space, 0};
  return frame(FrameType::kDone, sizeof prefix, asBytes(&prefix, sizeof prefix), {}, true);
}

Status Writer::file(uint32_t blob, uint64_t offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    const FilePrefix prefix{offset, blob, 0};
    const uint32_t cut = uint32_t(sizeof prefix + (kUnit - offset % kUnit) % kUnit);
    const auto slice = data.first(std::min<size_t>(data.size(), kWindow - offset % kWindow));
    BLCR_TRY(frame(FrameType::kFile, cut, asBytes(&prefix, sizeof prefix), slice, true));
    offset += slice.size();
    data = data.subspan(slice.size());
  }
  return {};
}

Status Writer::trailer() {
  const TrailerPayload trailer{frames_, bytes_, chain_, 0};
  return frame(FrameType::kTrailer, sizeof trailer, asBytes(&trailer, sizeof trailer), {}, true);
}

Status Reader::fill(std::byte* into, size_t length) {
  for (size_t got = 0; got < length;) {
    if (cancelFd_ >= 0 && !waitFor(fd_, POLLIN, cancelFd_)) return Error{ECANCELED, "reading the context was given up"};
    const ssize_t part = ::read(fd_, into + got, length - got);
    if (part > 0) {
      got += size_t(part);
      continue;
    }
    if (part == 0) return Error{EIO, "the context ends in frame " + std::to_string(frames_) + ", before its trailer"};
    const int code = errno;
    if (code == EAGAIN) waitFor(fd_, POLLIN, cancelFd_);
    if (code == EAGAIN || code == EINTR) continue;
    errno = code;
    return systemError("reading the context");
  }
  return {};
}

/** The header of the next frame is fetched together with a payload: one system call per frame instead of two. */
Result<Frame> Reader::read() {
  if (finished_) return malformed(frames_, "nothing may follow the trailer");
  buffer_.resize(kMaxPayload + sizeof(FrameHeader));
  auto* data = reinterpret_cast<std::byte*>(buffer_.data());
  if (!haveHeader_) BLCR_TRY(fill(reinterpret_cast<std::byte*>(&next_), sizeof next_));
  const FrameHeader header = next_;
  if (!isKnown(header.type)) return malformed(frames_, "of unknown type");
  if (header.length > kMaxPayload) return malformed(frames_, "payload of " + std::to_string(header.length) + " bytes is too long");
  finished_ = header.type == FrameType::kTrailer;
  haveHeader_ = !finished_;
  BLCR_TRY(fill(data, header.length + (haveHeader_ ? sizeof next_ : 0)));
  if (haveHeader_) std::copy_n(data + header.length, sizeof next_, reinterpret_cast<std::byte*>(&next_));
  const Frame frame{header, {data, header.length}};
  const bool unchecked = header.type == FrameType::kPage && (head_.flags & kHeadPagesUnchecked) != 0;
  if (unchecked ? header.crc != 0 : crc32c(0, data, header.length) != header.crc) return malformed(frames_, "checksum does not match");
  if (finished_) BLCR_TRY(checkTrailer(frame));
  chain_ = crc32c(chain_, &header, sizeof header);
  ++frames_;
  bytes_ += sizeof header + header.length;
  return frame;
}

Status Reader::checkTrailer(const Frame& frame) const {
  TrailerPayload trailer{};
  if (frame.payload.size() != sizeof trailer) return malformed(frames_, "trailer of wrong size");
  std::copy(frame.payload.begin(), frame.payload.end(), reinterpret_cast<std::byte*>(&trailer));
  if (trailer.frames != frames_ || trailer.bytes != bytes_ || trailer.chain != chain_)
    return malformed(frames_, "frames before the trailer were lost, added or changed");
  return {};
}

Result<HeadPayload> Reader::head() {
  // Checked before anything else is believed: a foreign file should be called that, not "checksum error".
  BLCR_TRY(fill(reinterpret_cast<std::byte*>(&next_), sizeof next_));
  if (next_.type != FrameType::kHead || next_.length != sizeof(HeadPayload)) return Error{EINVAL, "not a context of this program"};
  haveHeader_ = true;
  auto frame = read();
  if (!frame) return frame.error();
  HeadPayload head{};
  std::copy(frame->payload.begin(), frame->payload.end(), reinterpret_cast<std::byte*>(&head));
  if (!std::equal(std::begin(kMagic), std::end(kMagic), head.magic)) return Error{EINVAL, "not a context of this program"};
  if (head.version != kVersion)
    return Error{kErrorVersion, "context version " + std::to_string(head.version) + ", this program reads " + std::to_string(kVersion)};
  if (head.architecture != kArchitecture)
    return Error{kErrorBadArchitecture, "context of ELF machine " + std::to_string(head.architecture) + ", this is x86_64"};
  if (head.pageSize != kPageSize) return Error{kErrorBadArchitecture, "context with pages of " + std::to_string(head.pageSize) + " bytes"};
  if ((head.flags & ~kHeadPagesUnchecked) != 0) return Error{kErrorVersion, "context with unknown flags"};
  if (head.metaLength == 0 || head.metaLength > kMaxMeta) return malformed(0, "metadata length is not plausible");
  head_ = head;
  return head;
}

Result<std::string> Reader::meta() {
  std::string all;
  while (all.size() < head_.metaLength) {
    auto frame = read();
    if (!frame) return frame.error();
    if (frame->header.type != FrameType::kMeta || frame->payload.empty()) return malformed(frames_ - 1, "metadata expected");
    all.append(reinterpret_cast<const char*>(frame->payload.data()), frame->payload.size());
  }
  if (all.size() != head_.metaLength) return malformed(frames_ - 1, "metadata is longer than announced");
  return all;
}

std::string Reader::exchangeBuffer(std::string spare) {
  buffer_.swap(spare);
  return spare;
}

Result<Frame> Reader::next() {
  auto frame = read();
  if (!frame) return frame;
  const size_t size = frame->payload.size();
  switch (frame->header.type) {
    case FrameType::kPage: {
      PagePrefix prefix{};
      if (size <= sizeof prefix || (size - sizeof prefix) % kPageSize != 0) return malformed(frames_ - 1, "not whole pages");
      std::copy_n(frame->payload.data(), sizeof prefix, reinterpret_cast<std::byte*>(&prefix));
      if (prefix.address % kPageSize != 0 || prefix.address % kWindow + (size - sizeof prefix) > kWindow || prefix.reserved != 0)
        return malformed(frames_ - 1, "pages cross their window");
      return frame;
    }
    case FrameType::kSame:
      if (size <= sizeof(SpacePrefix) || (size - sizeof(SpacePrefix)) % sizeof(SameRange) != 0)
        return malformed(frames_ - 1, "not whole ranges");
      return frame;
    case FrameType::kDone:
      if (size != sizeof(SpacePrefix)) return malformed(frames_ - 1, "of wrong size");
      return frame;
    case FrameType::kFile:
      if (size <= sizeof(FilePrefix)) return malformed(frames_ - 1, "no file content");
      return frame;
    case FrameType::kTrailer:
      return frame;
    default:
      return malformed(frames_ - 1, "header or metadata in the wrong place");
  }
}

}  // namespace blcr::image
