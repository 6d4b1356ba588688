#include "restore/loader.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "restore/memory/huge_pages.h"
#include "restore/memory/memory.h"
#include "restore/prefetch.h"
#include "trace/tracee.h"

namespace blcr {
namespace {

using image::Area;
using image::AreaKind;
using image::FrameType;
using image::SameRange;

template <typename Prefix>
Prefix prefixOf(std::span<const std::byte> payload) {
  Prefix prefix{};
  std::memcpy(&prefix, payload.data(), sizeof prefix);
  return prefix;
}

Status fillAttached(const AttachedSegment& segment, uint64_t offset, std::span<const std::byte> data) {
  const uint64_t limit = wholePages(segment.size());
  if (offset > limit || data.size() > limit - offset) return Error{EINVAL, "the context has content beyond the end of a segment"};
  std::copy(data.begin(), data.end(), segment.data() + offset);
  return {};
}

Status writeFile(int fd, uint64_t size, uint64_t offset, std::span<const std::byte> data, const char* what) {
  // A segment's length need not be whole pages; its last page is.
  const uint64_t limit = wholePages(size);
  if (offset > limit || data.size() > limit - offset)
    return Error{EINVAL, std::string("the context has content beyond the end of a ") + what};
  data = data.first(std::min<size_t>(data.size(), size - std::min(size, offset)));
  while (!data.empty()) {
    const ssize_t written = ::pwrite(fd, data.data(), data.size(), off_t(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return systemError(std::string("content of a ") + what);
    offset += uint64_t(written);
    data = data.subspan(size_t(written));
  }
  return {};
}

Status protect(Building& building, const Area& area, int protection) {
  return done(building.leader().call("mprotect", SYS_mprotect, {area.start, area.end - area.start, uint64_t(protection)}));
}

void append(std::vector<SameRange>& ranges, uint64_t start, uint64_t end) {
  if (!ranges.empty() && ranges.back().end == start) {
    ranges.back().end = end;
  } else {
    ranges.push_back({start, end});
  }
}

/** What of `ranges`, sorted by their start, lies in [start, end) and in none of `without`, which are sorted, too; neither overlap. */
std::vector<SameRange> remainder(std::span<const SameRange> ranges, uint64_t start, uint64_t end, std::span<const SameRange> without) {
  std::vector<SameRange> rest;
  const auto endsBefore = [=](const SameRange& each) { return each.end <= start; };
  auto next = std::partition_point(without.begin(), without.end(), endsBefore);
  for (auto range = std::partition_point(ranges.begin(), ranges.end(), endsBefore); range != ranges.end() && range->start < end; ++range) {
    uint64_t at = std::max(range->start, start);
    const uint64_t last = std::min(range->end, end);
    while (next != without.end() && next->end <= at) ++next;
    for (auto each = next; at < last; ++each) {
      const uint64_t until = each == without.end() ? last : std::min(last, each->start);
      if (until > at) rest.push_back({at, until});
      at = each == without.end() ? last : std::max(at, each->end);
    }
  }
  return rest;
}

/** Of the inherited area at an address; 0 = it lies in none. */
uint64_t endOfInherited(const Building& building, uint64_t address) {
  const auto& all = building.inherited;
  const auto area = std::upper_bound(all.begin(), all.end(), address, [](uint64_t at, const auto& each) { return at < each.end; });
  return area != all.end() && area->own->start <= address ? area->end : 0;
}

void sort(std::vector<SameRange>& ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const SameRange& a, const SameRange& b) { return a.start < b.start; });
}

}  // namespace

Loader::Loader(Job& job, const Sources& sources, const KernelAreas& areas, image::Reader& reader)
    : job_(job), sources_(sources), areas_(areas), reader_(reader), opened_(job.processes.size()), told_(job.processes.size()) {}

Status Loader::beforeBirth(Building& forker, Building& child) {
  if (child.process->forkedFrom != indexOf(forker)) return {};
  if (!forker.hasPages && canBeForked(job_.image.host, *forker.process, areas_)) BLCR_TRY(loadThrough(forker));
  if (forker.hasPages && !forker.isBridged) child.inherited = image::inheritedAreas(*child.process, *forker.process);
  return {};
}

/** Stops early where the stream has something for a process that is not there yet. */
Status Loader::loadThrough(Building& building) {
  if (!building.hasMemory) BLCR_TRY(buildMemory(job_, building, areas_, sources_));
  while (!building.hasPages) {
    if (!waiting_) {
      const auto frame = reader_.next();
      if (!frame) return frame.error();
      waiting_ = frame.value();
    }
    const auto isReady = isLaidOut(*waiting_);
    if (!isReady.ok()) return isReady.error();
    if (!isReady.value()) return {};
    BLCR_TRY(take(*waiting_));
    waiting_.reset();
  }
  return {};
}

/** Whether a frame can be taken while the tree grows; lays out the memory that it is about when that is possible. */
Result<bool> Loader::isLaidOut(const image::Frame& frame) {
  if (frame.header.type == FrameType::kTrailer) return false;
  if (frame.header.type == FrameType::kFile) return true;
  const uint32_t space = frame.header.type == FrameType::kPage ? prefixOf<image::PagePrefix>(frame.payload).space
                                                               : prefixOf<image::SpacePrefix>(frame.payload).space;
  if ((space & image::kSharedSpace) != 0) return true;
  Building* building = livingAt(space);
  if (building == nullptr || building->hasMemory) return true;  // take() tells what is wrong
  if (building->tasks.empty() || !canBeForked(job_.image.host, *building->process, areas_)) return false;
  BLCR_TRY(buildMemory(job_, *building, areas_, sources_));
  return true;
}

Status Loader::load() {
  if (waiting_) {
    const image::Frame frame = *waiting_;
    if (frame.header.type == FrameType::kTrailer) return finish();
    BLCR_TRY(take(frame));
  }
  Prefetch frames(reader_);
  BLCR_TRY(frames.begin());
  while (true) {
    auto frame = frames.next();
    if (!frame) return frame.error();
    if (frame->header.type == FrameType::kTrailer) return finish();
    BLCR_TRY(take(*frame));
  }
}

Status Loader::take(const image::Frame& frame) {
  switch (frame.header.type) {
    case FrameType::kPage:
      return page(frame.payload);
    case FrameType::kSame:
      return same(frame.payload);
    case FrameType::kDone:
      return done(frame.payload);
    default:
      return file(frame.payload);
  }
}

Building* Loader::livingAt(uint32_t index) {
  return index < job_.processes.size() && job_.processes[index].isAlive() ? &job_.processes[index] : nullptr;
}

Status Loader::page(std::span<const std::byte> payload) {
  const auto prefix = prefixOf<image::PagePrefix>(payload);
  const auto data = payload.subspan(sizeof prefix);
  if ((prefix.space & image::kSharedSpace) != 0) {
    const uint32_t index = prefix.space & ~image::kSharedSpace;
    if (index >= sources_.segments.size()) return Error{EINVAL, "the context has pages of an unknown segment"};
    if (job_.image.shared[index].hugeShift != 0) return hugeSegment(index, prefix.address, data);
    if (const auto attached = sources_.attached.find(index); attached != sources_.attached.end())
      return fillAttached(attached->second, prefix.address, data);
    return writeFile(sources_.segments[index], job_.image.shared[index].size, prefix.address, data, "segment");
  }
  Building* building = livingAt(prefix.space);
  if (building == nullptr) return Error{EINVAL, "the context has pages of an unknown process"};
  append(told_[prefix.space], prefix.address, prefix.address + data.size());
  return privatePages(*building, prefix.address, data);
}

Status Loader::hugeSegment(uint32_t index, uint64_t offset, std::span<const std::byte> data) {
  const image::SharedSegment& segment = job_.image.shared[index];
  if (offset > segment.size || data.size() > segment.size - offset)
    return Error{EINVAL, "the context has content beyond the end of a segment"};
  const auto attached = sources_.attached.find(index);
  if (attached != sources_.attached.end()) return writeHuge(attached->second.data() + offset, data, segment.hugeShift);
  auto content = huge_.find(index);
  if (content == huge_.end()) {
    auto mapped = HugeContent::map(sources_.segments[index], segment.size, segment.hugeShift);
    if (!mapped) return mapped.error();
    content = huge_.emplace(index, *std::move(mapped)).first;
  }
  return writeHuge(content->second.data() + offset, data, segment.hugeShift);
}

/** Of private memory. */
Result<const Area*> Loader::areaAt(Building& building, uint64_t address) const {
  const auto& areas = building.process->memory.areas;
  auto area = std::upper_bound(areas.begin(), areas.end(), address, [](uint64_t at, const Area& each) { return at < each.end; });
  const bool takes = area != areas.end() && area->start <= address && !area->shared && area->kind < AreaKind::kVdso;
  if (!takes) return inProcess(*building.process, Error{EINVAL, "the context has pages at an address where it has no private memory"});
  return &*area;
}

/** A run of pages may cover several adjacent areas. */
Status Loader::privatePages(Building& building, uint64_t address, std::span<const std::byte> data) {
  while (!data.empty()) {
    const auto area = areaAt(building, address);
    if (!area.ok()) return area.error();
    const size_t size = std::min<size_t>(data.size(), area.value()->end - address);
    if ((area.value()->protection & PROT_WRITE) == 0) BLCR_TRY(open(building, *area.value()));
    const Status written = building.leader().write(address, data.first(size));
    if (!written.ok()) return inProcess(*building.process, explainHuge(written.error(), area.value()->hugeShift));
    address += size;
    data = data.subspan(size);
  }
  return {};
}

Status Loader::open(Building& building, const Area& area) {
  if (!opened_[indexOf(building)].emplace(area.start, &area).second) return {};
  return protect(building, area, PROT_READ | PROT_WRITE);
}

Status Loader::same(std::span<const std::byte> payload) {
  const auto prefix = prefixOf<image::SpacePrefix>(payload);
  Building* building = livingAt(prefix.space);
  Building* source = building == nullptr ? nullptr : livingAt(building->process->forkedFrom);
  if (source == nullptr || !source->hasPages) return Error{EINVAL, "the context has pages of a process that others cannot have them from"};
  for (payload = payload.subspan(sizeof prefix); !payload.empty(); payload = payload.subspan(sizeof(SameRange))) {
    const auto range = prefixOf<SameRange>(payload);
    if (range.start >= range.end || range.start % kPageBytes != 0 || range.end % kPageBytes != 0)
      return inProcess(*building->process, Error{EINVAL, "the context has an impossible range of pages"});
    append(told_[prefix.space], range.start, range.end);
    BLCR_TRY(copyFrom(*source, *building, range));
  }
  return {};
}

/** What it was born with needs no copy. */
Status Loader::copyFrom(Building& source, Building& building, const SameRange& range) {
  const RemoteMemory memory(source.leader().tid());
  std::vector<std::byte> buffer;
  for (uint64_t at = range.start; at < range.end;) {
    if (const uint64_t end = endOfInherited(building, at); end != 0) {
      at = std::min(end, range.end);
      continue;
    }
    const auto area = areaAt(source, at);
    if (!area.ok()) return area.error();
    buffer.resize(std::min({range.end, area.value()->end, at + image::kWindow}) - at);
    if ((area.value()->protection & PROT_READ) == 0) BLCR_TRY(open(source, *area.value()));
    if (const Status read = memory.read(at, buffer); !read.ok()) return inProcess(*source.process, read.error());
    BLCR_TRY(privatePages(building, at, buffer));
    at += buffer.size();
  }
  return {};
}

Status Loader::done(std::span<const std::byte> payload) {
  Building* building = livingAt(prefixOf<image::SpacePrefix>(payload).space);
  if (building == nullptr) return Error{EINVAL, "the context has pages of an unknown process"};
  BLCR_TRY(dropOthers(*building));
  building->hasPages = true;
  return {};
}

/** Pages that it was born with and that are not its own: it had written zeros there, or given them back. */
Status Loader::dropOthers(Building& building) {
  Ranges& own = told_[indexOf(building)];
  sort(own);
  if (building.inherited.empty()) return {};
  const Ranges& others = told_[building.process->forkedFrom];
  for (const image::InheritedArea& area : building.inherited) {
    for (const SameRange& range : remainder(others, area.own->start, area.end, own)) {
      const auto dropped = building.leader().call("dropping pages", SYS_madvise, {range.start, range.end - range.start, MADV_DONTNEED});
      if (!dropped.ok()) return inProcess(*building.process, dropped.error());
    }
  }
  return {};
}

Status Loader::file(std::span<const std::byte> payload) {
  const auto prefix = prefixOf<image::FilePrefix>(payload);
  if (prefix.blob >= sources_.blobs.size()) return Error{EINVAL, "the context has content of an unknown file"};
  if (sources_.blobs[prefix.blob] < 0) return {};  // of a file that is the same here
  return writeFile(sources_.blobs[prefix.blob], job_.image.blobs[prefix.blob].size, prefix.offset, payload.subspan(sizeof prefix), "file");
}

Status Loader::finish() {
  huge_.clear();  // what is mapped for writing cannot be sealed
  for (Building& building : job_.processes)
    if (building.isAlive() && !building.hasPages) BLCR_TRY(dropOthers(building));
  for (size_t index = 0; index < opened_.size(); ++index)
    for (const auto& [start, area] : opened_[index]) BLCR_TRY(protect(job_.processes[index], *area, area->protection));
  return {};
}

}  // namespace blcr
