#include "restore/loader.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "restore/prefetch.h"

namespace blcr {
namespace {

using image::Area;
using image::AreaKind;

class Loader {
 public:
  Loader(Job& job, const Sources& sources) : job_(job), sources_(sources), opened_(job.processes.size()) {}

  Status load(image::Reader& reader) {
    Prefetch frames(reader);
    BLCR_TRY(frames.begin());
    while (true) {
      auto frame = frames.next();
      if (!frame) return frame.error();
      if (frame->header.type == image::FrameType::kTrailer) return protectAgain();
      BLCR_TRY(frame->header.type == image::FrameType::kPage ? page(frame->payload) : file(frame->payload));
    }
  }

 private:
  Status page(std::span<const std::byte> payload) {
    image::PagePrefix prefix{};
    std::memcpy(&prefix, payload.data(), sizeof prefix);
    const auto data = payload.subspan(sizeof prefix);
    const uint32_t index = prefix.space & ~image::kSharedSpace;
    if ((prefix.space & image::kSharedSpace) != 0) {
      if (index >= sources_.segments.size()) return Error{EINVAL, "the context has pages of an unknown segment"};
      if (const auto attached = sources_.attached.find(index); attached != sources_.attached.end())
        return fillAttached(attached->second, prefix.address, data);
      return writeFile(sources_.segments[index], job_.image.shared[index].size, prefix.address, data, "segment");
    }
    if (index >= job_.processes.size() || !job_.processes[index].isAlive())
      return Error{EINVAL, "the context has pages of an unknown process"};
    return privatePages(index, prefix.address, data);
  }

  static Status fillAttached(const AttachedSegment& segment, uint64_t offset, std::span<const std::byte> data) {
    const uint64_t limit = wholePages(segment.size());
    if (offset > limit || data.size() > limit - offset) return Error{EINVAL, "the context has content beyond the end of a segment"};
    std::copy(data.begin(), data.end(), segment.data() + offset);
    return {};
  }

  /** A run of pages may cover several adjacent areas. */
  Status privatePages(uint32_t index, uint64_t address, std::span<const std::byte> data) {
    Building& building = job_.processes[index];
    const auto& areas = building.process->memory.areas;
    while (!data.empty()) {
      auto area = std::upper_bound(areas.begin(), areas.end(), address, [](uint64_t at, const Area& each) { return at < each.end; });
      const bool takes = area != areas.end() && area->start <= address && !area->shared && area->kind < AreaKind::kVdso;
      if (!takes) return inProcess(*building.process, Error{EINVAL, "the context has pages at an address where it has no private memory"});
      const size_t size = std::min<size_t>(data.size(), area->end - address);
      if ((area->protection & PROT_WRITE) == 0) BLCR_TRY(open(index, *area));
      const Status written = building.leader().write(address, data.first(size));
      if (!written.ok()) return inProcess(*building.process, written.error());
      address += size;
      data = data.subspan(size);
    }
    return {};
  }

  Status protect(Stub& stub, const Area& area, int protection) {
    return done(stub.call("mprotect", SYS_mprotect, {area.start, area.end - area.start, uint64_t(protection)}));
  }

  Status open(uint32_t index, const Area& area) {
    if (!opened_[index].emplace(area.start, &area).second) return {};
    return protect(job_.processes[index].leader(), area, PROT_READ | PROT_WRITE);
  }

  Status protectAgain() {
    for (size_t index = 0; index < opened_.size(); ++index)
      for (const auto& [start, area] : opened_[index]) BLCR_TRY(protect(job_.processes[index].leader(), *area, area->protection));
    return {};
  }

  Status file(std::span<const std::byte> payload) {
    image::FilePrefix prefix{};
    std::memcpy(&prefix, payload.data(), sizeof prefix);
    if (prefix.blob >= sources_.blobs.size()) return Error{EINVAL, "the context has content of an unknown file"};
    if (sources_.blobs[prefix.blob] < 0) return {};  // of a file that is the same here
    return writeFile(sources_.blobs[prefix.blob], job_.image.blobs[prefix.blob].size, prefix.offset, payload.subspan(sizeof prefix),
                     "file");
  }

  static Status writeFile(int fd, uint64_t size, uint64_t offset, std::span<const std::byte> data, const char* what) {
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

  Job& job_;
  const Sources& sources_;
  std::vector<std::map<uint64_t, const Area*>> opened_;  // made writable for loading, by process
};

}  // namespace

Status loadContent(Job& job, image::Reader& reader, const Sources& sources) { return Loader(job, sources).load(reader); }

}  // namespace blcr
