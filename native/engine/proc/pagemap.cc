#include "proc/pagemap.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/features.h"
#include "base/io.h"
#include "proc/status.h"

namespace blcr {
namespace {

constexpr uint64_t kPage = 4096;

/** Reading the map takes a second or more for each TiB, also where there is nothing; areas of this size are worth a look at smaps first. */
constexpr uint64_t kLarge = 4ull << 30;

// Source: linux/fs.h of Linux 6.7, which Debian 12's headers lack.
struct ScanRegion {
  uint64_t start, end, categories;
};
struct ScanArguments {
  uint64_t size, flags, start, end, walkEnd, vector, vectorLength, maxPages;
  uint64_t categoryInverted, categoryMask, categoryAnyOf, returnMask;
};
constexpr unsigned long kScan = _IOWR('f', 16, ScanArguments);
constexpr uint64_t kFile = 1 << 2, kPresent = 1 << 3, kSwapped = 1 << 4, kZeroPage = 1 << 5;
constexpr uint64_t kGuard = 1 << 8;  // Linux 6.15

// Bits of an entry. Source: Documentation/admin-guide/mm/pagemap.rst
constexpr uint64_t kEntryPresent = 1ull << 63, kEntrySwapped = 1ull << 62, kEntryFile = 1ull << 61, kEntryGuard = 1ull << 58;

void append(std::vector<PageRange>& ranges, uint64_t start, uint64_t end) {
  if (!ranges.empty() && ranges.back().end == start) {
    ranges.back().end = end;
  } else {
    ranges.push_back({start, end});
  }
}

/** Whether this kernel's scan knows guard regions: asked of a page of our own. */
bool scanTellsGuards() {
  static const bool known = [] {
    const UniqueFd own(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    ScanRegion region{};
    ScanArguments arguments{};
    arguments.size = sizeof arguments;
    arguments.start = reinterpret_cast<uint64_t>(&region) & ~(kPage - 1);
    arguments.end = arguments.start + kPage;
    arguments.vector = reinterpret_cast<uint64_t>(&region);
    arguments.vectorLength = 1;
    arguments.categoryMask = arguments.returnMask = kGuard;
    return own && ::ioctl(own.get(), kScan, &arguments) >= 0;
  }();
  return known;
}

/** Of a kernel without the scan. */
bool isUnknown(const Error& error) { return error.code == ENOTTY || error.code == EINVAL; }

}  // namespace

Result<PageMap> PageMap::open(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/pagemap";
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd) return PageMap(pid, std::move(fd));
  // An ordinary user is refused (EACCES) what belongs to a process that has just lost its memory.
  const Error refused = systemError(path);
  return isAlive(pid) ? refused : Error{ESRCH, path + ": the process has ended"};
}

Result<uint64_t> PageMap::scanSome(uint64_t start, uint64_t end, Kind kind, uint64_t maxPages, std::vector<PageRange>& into) const {
  std::array<ScanRegion, 512> regions;
  ScanArguments arguments{};
  arguments.size = sizeof arguments;
  arguments.start = start;
  arguments.end = end;
  arguments.vector = reinterpret_cast<uint64_t>(regions.data());
  arguments.vectorLength = regions.size();
  arguments.maxPages = maxPages;
  if (kind == Kind::kGuards) {
    arguments.categoryMask = arguments.returnMask = kGuard;
  } else {
    const uint64_t guard = scanTellsGuards() ? kGuard : 0;
    arguments.categoryInverted = kFile | kZeroPage | guard;
    arguments.categoryMask = kFile | kZeroPage | guard;
    arguments.categoryAnyOf = kPresent | kSwapped;
    arguments.returnMask = kPresent;
  }
  long count = 0;
  do count = ::ioctl(fd_.get(), kScan, &arguments);
  while (count < 0 && errno == EINTR);
  if (count < 0) return systemError("pagemap scan");
  for (long i = 0; i < count; ++i) append(into, regions[size_t(i)].start, regions[size_t(i)].end);
  return arguments.walkEnd <= start ? end : arguments.walkEnd;
}

Status PageMap::scan(uint64_t start, uint64_t end, Kind kind, std::vector<PageRange>& into) const {
  while (start < end) {
    const auto next = scanSome(start, end, kind, 0, into);
    if (!next) return next.error();
    start = next.value();
  }
  return {};
}

Status PageMap::readEntries(uint64_t start, uint64_t end, Kind kind, std::vector<PageRange>& into) const {
  std::array<uint64_t, 4096> entries;
  while (start < end) {
    const size_t wanted = std::min<size_t>(entries.size(), (end - start) / kPage);
    const ssize_t got = ::pread(fd_.get(), entries.data(), wanted * 8, off_t(start / kPage * 8));
    if (got <= 0) return got == 0 ? Error{ESRCH, "pagemap: the process is gone"} : systemError("pagemap");
    for (size_t i = 0; i < size_t(got) / 8; ++i, start += kPage) {
      const bool guard = (entries[i] & kEntryGuard) != 0;
      const bool held = !guard && (entries[i] & (kEntryPresent | kEntrySwapped)) != 0;
      const bool wantedHere = kind == Kind::kGuards ? guard : held && (entries[i] & kEntryFile) == 0;
      if (wantedHere) append(into, start, start + kPage);
    }
  }
  return {};
}

bool PageMap::mayHavePages(uint64_t start, uint64_t end) const {
  const auto text = readFile("/proc/" + std::to_string(pid_) + "/smaps");
  if (!text) return true;
  const auto populated = parsePopulated(text.value());
  if (!populated) return true;
  return std::any_of(populated.value().begin(), populated.value().end(),
                     [=](const PageRange& range) { return range.start < end && start < range.end; });
}

Status PageMap::privatePages(uint64_t start, uint64_t end, std::vector<PageRange>& into) const {
  if (featureAllowed("pagemap_scan")) {
    const size_t before = into.size();
    const Status scanned = scan(start, end, Kind::kPrivate, into);
    if (scanned || !isUnknown(scanned.error())) return scanned;
    into.resize(before);
  }
  if (end - start >= kLarge && !mayHavePages(start, end)) return {};
  return readEntries(start, end, Kind::kPrivate, into);
}

Result<uint64_t> PageMap::somePrivatePages(uint64_t start, uint64_t end, std::vector<PageRange>& into) const {
  constexpr uint64_t kPages = 8192;  // found in about a millisecond, and 32 MiB to send
  if (featureAllowed("pagemap_scan")) {
    auto next = scanSome(start, end, Kind::kPrivate, kPages, into);
    if (next || !isUnknown(next.error())) return next;
  }
  BLCR_TRY(privatePages(start, end, into));
  return end;
}

Status PageMap::guards(uint64_t start, uint64_t end, std::vector<PageRange>& into) const {
  if (!scanTellsGuards()) return {};  // Linux before 6.15 tells of them nowhere, and has none before 6.13
  if (!featureAllowed("pagemap_scan")) return readEntries(start, end, Kind::kGuards, into);
  return scan(start, end, Kind::kGuards, into);
}

}  // namespace blcr
