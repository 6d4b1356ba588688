#include "dump/memory/shared_pages.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "base/io.h"
#include "dump/memory/huge_pages.h"
#include "proc/parse.h"

namespace blcr {
namespace {

constexpr uint64_t kPage = 4096;

uint64_t pageUp(uint64_t size) { return (size + kPage - 1) & ~(kPage - 1); }

/** mincore does not see swapped shared pages. */
bool swapIsInUse() {
  const auto text = readFile("/proc/swaps");
  return text && std::count(text.value().begin(), text.value().end(), '\n') > 1;
}

using Present = std::vector<bool>;  // by page of the segment

void mark(Present& present, uint64_t from, uint64_t to) {
  for (uint64_t page = from / kPage; page < pageUp(to) / kPage && page < present.size(); ++page) present[page] = true;
}

void findByDescriptor(const SegmentSource& source, Present& present) {
  for (off_t at = 0; uint64_t(at) < source.size;) {
    const off_t data = ::lseek(source.fd.get(), at, SEEK_DATA);
    if (data < 0) return;
    off_t hole = ::lseek(source.fd.get(), data, SEEK_HOLE);
    if (hole < 0) hole = off_t(source.size);
    mark(present, uint64_t(data), uint64_t(hole));
    at = hole;
  }
}

Status findByMincore(FrozenProcess& process, const std::vector<const SegmentView*>& views, Present& present) {
  const Scratch& scratch = process.foothold->scratch();
  constexpr uint64_t kStep = Scratch::kDataSize * kPage;
  std::vector<std::byte> resident(Scratch::kDataSize);
  for (const SegmentView* view : views) {
    for (uint64_t done = 0; done < view->length; done += kStep) {
      const uint64_t length = std::min(kStep, view->length - done);
      RemoteCall call{SYS_mincore, {view->address + done, length, scratch.data()}};
      BLCR_TRY(process.foothold->run(std::span(&call, 1)));
      if (call.result != 0) return Error{int(-call.result), "process " + std::to_string(process.pid) + ": mincore"};
      const auto part = std::span(resident).first(length / kPage);
      BLCR_TRY(scratch.memory().read(scratch.data(), part));
      for (size_t i = 0; i < part.size(); ++i) {
        const uint64_t offset = view->offset + done + i * kPage;
        if ((part[i] & std::byte{1}) != std::byte{0}) mark(present, offset, offset + kPage);
      }
    }
  }
  return {};
}

/** Attached here, too: no process needs to be asked. */
Status findInAttached(const SegmentSource& source, Present& present) {
  std::vector<unsigned char> resident(present.size());
  if (::mincore(source.attached.data(), source.size, resident.data()) != 0) return systemError("System V shared memory: mincore");
  for (size_t page = 0; page < present.size(); ++page) present[page] = (resident[page] & 1) != 0;
  return {};
}

/** Where nothing tells which are there: of huge pages a page table has those only that its process has touched. */
void markAll(const SegmentSource& source, Present& present) {
  if (source.attached) present.assign(present.size(), true);
  for (const SegmentView& view : source.views) mark(present, view.offset, view.offset + view.length);
}

Status findResident(FrozenSet& frozen, const SegmentSource& source, bool huge, Present& present) {
  if (source.fd && huge) mark(present, 0, source.size);
  if (source.fd && !huge) findByDescriptor(source, present);
  if (source.fd) return {};
  if (huge || swapIsInUse()) {
    markAll(source, present);
    return {};
  }
  if (source.attached) return findInAttached(source, present);
  for (FrozenProcess& process : frozen.processes()) {
    std::vector<const SegmentView*> views;
    for (const SegmentView& view : source.views) {
      if (view.pid == process.speaker()) views.push_back(&view);
    }
    if (!views.empty()) BLCR_TRY(findByMincore(process, views, present));
  }
  return {};
}

}  // namespace

Status readSegment(const Recording& recording, const SegmentPages& pages, uint64_t offset, std::span<std::byte> into) {
  if (!pages.data.empty()) {
    std::copy_n(pages.data.begin() + long(offset - pages.offset), into.size(), into.begin());
    return {};
  }
  const SegmentSource& source = recording.segments[pages.segment];
  const bool huge = recording.image.shared[pages.segment].hugeShift != 0;
  if (source.fd) {
    auto count = readUpToAt(source.fd.get(), into, off_t(offset));
    if (!count) return count.error();
    std::fill(into.begin() + long(*count), into.end(), std::byte{0});  // the last page of an odd size
    return {};
  }
  if (source.attached && huge) return readHuge(source.attached, offset, into);
  if (source.attached) {
    std::copy_n(source.attached.data() + offset, into.size(), into.begin());
    return {};
  }
  for (const SegmentView& view : source.views) {
    if (offset < view.offset || offset + into.size() > view.offset + view.length) continue;
    return RemoteMemory(view.pid).read(view.address + (offset - view.offset), into);
  }
  // No single view covers the range: page by page.
  if (into.size() <= kPage) return Error{EFAULT, "shared memory: a page that no process maps"};
  BLCR_TRY(readSegment(recording, pages, offset, into.first(kPage)));
  return readSegment(recording, pages, offset + kPage, into.subspan(kPage));
}

Status findSegmentPages(FrozenSet& frozen, Recording& recording, bool copy) {
  constexpr uint64_t kPiece = 4 << 20;
  for (uint32_t index = 0; index < recording.segments.size(); ++index) {
    SegmentSource& source = recording.segments[index];
    recording.image.shared[index].size = source.size;
    Present present(pageUp(source.size) / kPage);
    BLCR_TRY(findResident(frozen, source, recording.image.shared[index].hugeShift != 0, present));
    for (size_t page = 0; page < present.size();) {
      const size_t first = page;
      while (page < present.size() && present[page] && page - first < kPiece / kPage) ++page;
      if (page == first) {
        ++page;
        continue;
      }
      SegmentPages pages;
      pages.segment = index;
      pages.offset = first * kPage;
      pages.length = (page - first) * kPage;
      if (copy) {
        std::vector<std::byte> data(pages.length);
        BLCR_TRY(readSegment(recording, pages, pages.offset, data));
        pages.data = std::move(data);
      }
      recording.segmentPages.push_back(std::move(pages));
    }
    // Not until everything is written: the checkpoint of whoever uses it would be refused as long.
    if (copy) source.attached = {};
  }
  return {};
}

}  // namespace blcr
