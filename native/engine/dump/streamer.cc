#include "dump/streamer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_set>
#include <utility>

#include "base/io.h"
#include "dump/memory/confirm_memory.h"
#include "dump/memory/identity.h"
#include "dump/memory/inherited_pages.h"
#include "dump/memory/shared_pages.h"
#include "image/inherited.h"
#include "image/serialise.h"
#include "image/validate.h"
#include "proc/pagemap.h"
#include "trace/tracee.h"

namespace blcr {
namespace {

constexpr uint64_t kPage = 4096;

/**
 * Memory for windows on their way out. A pipe refers to lent pages for as long as nobody has read them (a reader may even splice them
 * further), so they are never written again: a used-up chunk is dropped, and the next touch gets fresh memory, two megabytes by one fault
 * where huge pages are allowed.
 */
class WindowBuffer {
 public:
  WindowBuffer() {
    void* area = ::mmap(nullptr, 2 * kChunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED) return;
    area_ = static_cast<std::byte*>(area);
    chunk_ = area_ + (kChunk - reinterpret_cast<uintptr_t>(area_) % kChunk) % kChunk;
    ::madvise(chunk_, kChunk, MADV_HUGEPAGE);
  }
  ~WindowBuffer() {
    if (valid()) ::munmap(area_, 2 * kChunk);
  }
  WindowBuffer(const WindowBuffer&) = delete;
  WindowBuffer& operator=(const WindowBuffer&) = delete;
  [[nodiscard]] bool valid() const { return area_ != nullptr; }
  void lend() { lend_ = true; }

  /** Room for `size` bytes, page-aligned; what was given before stays as it is when pages are lent. */
  [[nodiscard]] std::span<std::byte> take(size_t size) {
    if (!lend_) return {chunk_, size};
    if (used_ + size > kChunk) {
      ::madvise(chunk_, kChunk, MADV_DONTNEED);
      used_ = 0;
    }
    used_ += size;
    return {chunk_ + used_ - size, size};
  }

 private:
  static constexpr size_t kChunk = 2 * image::kWindow;
  std::byte* area_ = nullptr;
  std::byte* chunk_ = nullptr;
  size_t used_ = 0;
  bool lend_ = false;
};

/** Most pages differ from zero in their first words, so this costs next to nothing for them. */
bool isZeroPage(const std::byte* page) {
  static const std::byte kZero[kPage] = {};
  return std::memcmp(page, kZero, 64) == 0 && std::memcmp(page, kZero, kPage) == 0;
}

class Streamer {
 public:
  explicit Streamer(StreamPlan& plan) : plan_(plan), writer_(plan.outputFd, !plan.checksum) {
    writer_.cancelOn(plan.cancelFd);
    if (writer_.giveAwayPages()) window_.lend();
  }

  Status run() {
    if (!window_.valid()) return systemError("stream buffer");
    BLCR_TRY(identify());
    image::Image& image = plan_.recording.image;
    for (size_t index = 0; index < image.processes.size(); ++index)
      if (plan_.sources[index].pid != 0) BLCR_TRY(confirmMemory(plan_.sources[index].pid, image.processes[index]));
    const auto order = image::findInheritance(image.processes, plan_.recording.tree);
    for (const image::Process& each : image.processes) isSource_.insert(each.forkedFrom);
    BLCR_TRY(image::validate(image));
    const std::string meta = image::serialise(image);
    BLCR_TRY(writer_.head(meta.size()));
    BLCR_TRY(writer_.meta(meta));
    for (const BlobSource& blob : plan_.recording.blobs) BLCR_TRY(content(blob));
    for (const uint32_t index : order) {
      BLCR_TRY(process(index));
      if (isSource_.contains(index)) BLCR_TRY(writer_.done(index));
    }
    for (const SegmentPages& pages : plan_.recording.segmentPages) BLCR_TRY(segment(pages));
    return writer_.trailer();
  }

  [[nodiscard]] StreamOutcome outcome() const { return {writer_.pageCount(), writer_.bytes()}; }

 private:
  /** Whether others have the same pages: the original of a copy, or relatives. */
  [[nodiscard]] bool isShared(uint32_t index) const {
    const Recording& recording = plan_.recording;
    return !recording.copiesInStop || recording.image.processes[index].forkedFrom != image::kNone || isSource_.contains(index);
  }

  Status identify() {
    for (const PendingIdentity& pending : plan_.recording.identities) {
      image::MappedFile& file = plan_.recording.image.mapped[pending.mapped];
      if (!file.identity.empty()) continue;
      auto identity = fileIdentity(file.path, pending.info);
      if (!identity) return identity.error();
      file.identity = *std::move(identity);
    }
    return {};
  }

  /** Without the holes: a sparse file stays sparse. */
  Status content(const BlobSource& source) {
    std::vector<std::byte> buffer(source.fd ? image::kWindow : 0);
    for (const BlobPiece& piece : source.pieces) {
      for (uint64_t done = 0; done < piece.length;) {
        const uint64_t length = std::min(image::kWindow - (piece.offset + done) % image::kWindow, piece.length - done);
        std::span<const std::byte> part;
        if (source.fd) {
          const auto got = readUpToAt(source.fd.get(), std::span(buffer).first(length), off_t(piece.offset + done));
          if (!got.ok()) return got.error();
          if (got.value() != length) return Error{ESTALE, "a file was truncated during the checkpoint"};
          part = std::span(buffer).first(length);
        } else {
          part = std::span(piece.data).subspan(done, length);
        }
        BLCR_TRY(writer_.file(source.blob, piece.offset + done, part));
        if (plan_.onProgress) BLCR_TRY(plan_.onProgress());
        done += length;
      }
    }
    return {};
  }

  Status process(uint32_t index) {
    const image::Process& process = plan_.recording.image.processes[index];
    const pid_t source = plan_.sources[index].pid;
    const RemoteMemory memory(source, isShared(index) ? RemoteMemory::Way::kLeaveShared : RemoteMemory::Way::kFast);
    auto map = PageMap::open(source);
    if (!map) return map.error();
    const auto carried = plan_.recording.carried.find(process.pid);
    std::vector<const image::Area*> anonymous;
    std::vector<PageRange> written;  // of areas that show something else than zeros where no page is
    unreadable_.clear();
    for (const image::Area& area : process.memory.areas) {
      if (area.shared || area.kind >= image::AreaKind::kVdso || (area.flags & image::kDroppable) != 0) continue;
      if (carried != plan_.recording.carried.end() && carried->second.contains(area.start)) {
        BLCR_TRY(carry(index, memory, area));
        continue;
      }
      if ((area.protection & PROT_READ) == 0) unreadable_.push_back({area.start, area.end});
      if (area.kind == image::AreaKind::kAnonymous) {
        anonymous.push_back(&area);
      } else {
        BLCR_TRY(map->privatePages(area.start, area.end, written));
      }
    }
    const auto read = [&](uint64_t at, std::span<std::byte> into) { return memory.read(at, into); };
    inherited_.reset();
    if (process.forkedFrom != image::kNone)
      inherited_.emplace(process, plan_.recording.image.processes[process.forkedFrom], plan_.sources[process.forkedFrom].pid);
    sender_ = plan_.sources[index].sender;
    if (sender_ != nullptr) sender_->begin(index, plan_.checksum, plan_.onProgress);
    for (const image::Area* area : anonymous) BLCR_TRY(anonymousPages(index, *map, *area, read));
    if (sender_ != nullptr) BLCR_TRY(std::exchange(sender_, nullptr)->finish(writer_));
    for (const PageRange& range : written) BLCR_TRY(copy(index, range.start, range.end, read, true));
    if (inherited_) BLCR_TRY(writer_.same(index, inherited_->ranges()));
    inherited_.reset();
    return {};
  }

  /** Memory that is zero by itself. Its pages are looked for part by part, so that the first ones are on their way meanwhile. */
  template <typename Read>
  Status anonymousPages(uint32_t index, const PageMap& map, const image::Area& area, Read read) {
    std::vector<PageRange> ranges;
    for (uint64_t at = area.start; at < area.end;) {
      ranges.clear();
      const auto next = map.somePrivatePages(at, area.end, ranges);
      if (!next) return next.error();
      for (const PageRange& range : ranges) BLCR_TRY(copy(index, range.start, range.end, read));
      at = next.value();
    }
    return {};
  }

  [[nodiscard]] bool canSend(uint64_t start, uint64_t end) const {
    const auto overlaps = [=](const PageRange& range) { return range.start < end && start < range.end; };
    return sender_ != nullptr && std::none_of(unreadable_.begin(), unreadable_.end(), overlaps);
  }

  /** An area of a file without a name: everything that can be read, present or not. */
  Status carry(uint32_t index, const RemoteMemory& memory, const image::Area& area) {
    return copy(index, area.start, area.end, [&](uint64_t at, std::span<std::byte> into) -> Status {
      for (size_t done = 0; done < into.size(); done += kPage) {
        // Pages behind the end of the file cannot be read, and could not be by the program.
        const auto page = into.subspan(done, kPage);
        if (!memory.read(at + done, page)) std::fill(page.begin(), page.end(), std::byte{0});
      }
      return {};
    });
  }

  Status segment(const SegmentPages& pages) {
    return copy(image::kSharedSpace | pages.segment, pages.offset, pages.offset + pages.length,
                [&](uint64_t at, std::span<std::byte> into) { return readSegment(plan_.recording, pages, at, into); });
  }

  /** [start, end) of a space, window by window, without zero pages unless `zeros`. */
  template <typename Read>
  Status copy(uint32_t space, uint64_t start, uint64_t end, Read read, bool zeros = false) {
    while (start < end) {
      const uint64_t length = std::min(end - start, image::kWindow - start % image::kWindow);
      BLCR_TRY(window(space, start, length, read, zeros));
      if (plan_.onProgress) BLCR_TRY(plan_.onProgress());
      start += length;
    }
    return {};
  }

  template <typename Read>
  Status window(uint32_t space, uint64_t start, uint64_t length, Read read, bool zeros) {
    const bool mayBeSame = inherited_ && inherited_->mayBe(start, start + length);
    const bool sends = canSend(start, start + length);
    if (sends && !mayBeSame) return sender_->order(writer_, start, uint32_t(length));
    const auto data = window_.take(length);
    BLCR_TRY(read(start, data));
    if (mayBeSame) inherited_->compare(start, data);
    const bool someAreSame = mayBeSame && inherited_->areSome();
    if (sends && !someAreSame) return sender_->order(writer_, start, uint32_t(length));
    if (sender_ != nullptr) BLCR_TRY(sender_->drain(writer_));
    const auto isLeftOut = [&](size_t at) { return (someAreSame && inherited_->isSame(start + at)) || (!zeros && isZeroPage(&data[at])); };
    return emit(space, start, data, isLeftOut);
  }

  template <typename LeftOut>
  Status emit(uint32_t space, uint64_t address, std::span<const std::byte> data, LeftOut isLeftOut) {
    size_t from = 0;  // begin of the run of pages that go out
    for (size_t at = 0; at < data.size(); at += kPage) {
      if (!isLeftOut(at)) continue;
      if (at > from) BLCR_TRY(writer_.pages(space, address + from, data.subspan(from, at - from)));
      from = at + kPage;
    }
    if (data.size() > from) BLCR_TRY(writer_.pages(space, address + from, data.subspan(from)));
    return {};
  }

  StreamPlan& plan_;
  image::Writer writer_;
  WindowBuffer window_;
  std::unordered_set<uint32_t> isSource_;    // of memory that other processes may have by fork
  CopySender* sender_ = nullptr;             // while the pages of a process are sent that has one
  std::optional<InheritedPages> inherited_;  // of the process whose pages go out
  std::vector<PageRange> unreadable_;        // areas of that process which only a debugger can read
};

}  // namespace

Result<StreamOutcome> streamContext(StreamPlan& plan) {
  Streamer streamer(plan);
  BLCR_TRY(streamer.run());
  return streamer.outcome();
}

}  // namespace blcr
