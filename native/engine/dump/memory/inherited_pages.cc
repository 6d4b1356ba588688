#include "dump/memory/inherited_pages.h"

#include <algorithm>
#include <cstring>

#include "image/inherited.h"
#include "proc/pagemap.h"

namespace blcr {

InheritedPages::InheritedPages(const image::Process& own, const image::Process& other, pid_t source)
    : other_(source, RemoteMemory::Way::kLeaveShared) {
  const auto map = PageMap::open(source);
  for (const image::InheritedArea& area : image::inheritedAreas(own, other)) {
    if (area.own->kind == image::AreaKind::kAnonymous) {
      pieces_.push_back({area.own->start, area.end});
    } else if (map.ok()) {
      // Only a saving is lost by an error.
      std::vector<PageRange> written;
      if (map.value().privatePages(area.own->start, area.end, written).ok()) pieces_.insert(pieces_.end(), written.begin(), written.end());
    }
  }
}

std::vector<PageRange>::const_iterator InheritedPages::firstBehind(uint64_t address) const {
  return std::partition_point(pieces_.begin(), pieces_.end(), [=](const PageRange& each) { return each.end <= address; });
}

bool InheritedPages::mayBe(uint64_t start, uint64_t end) const {
  const auto first = firstBehind(start);
  return first != pieces_.end() && first->start < end;
}

void InheritedPages::compare(uint64_t address, std::span<const std::byte> data) {
  base_ = address;
  same_.assign(data.size() / kPage, false);
  some_ = false;
  const uint64_t end = address + data.size();
  for (auto piece = firstBehind(address); piece != pieces_.end() && piece->start < end; ++piece) {
    const uint64_t from = std::max(address, piece->start), to = std::min(end, piece->end);
    comparePiece(from, to, data.subspan(from - address, to - from));
  }
}

void InheritedPages::comparePiece(uint64_t start, uint64_t end, std::span<const std::byte> data) {
  if (buffer_.size() < end - start) buffer_.resize(end - start);
  const auto others = std::span(buffer_).first(end - start);
  // Guard regions and pages behind the end of a file cannot be read: nobody has them from there.
  if (!other_.read(start, others).ok()) return;
  for (uint64_t at = start; at < end; at += kPage) {
    const uint64_t offset = at - start;
    if (std::memcmp(&data[offset], &others[offset], kPage) != 0) continue;
    same_[(at - base_) / kPage] = some_ = true;
    if (!ranges_.empty() && ranges_.back().end == at) {
      ranges_.back().end += kPage;
    } else {
      ranges_.push_back({at, at + kPage});
    }
  }
}

}  // namespace blcr
