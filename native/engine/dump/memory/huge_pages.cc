#include "dump/memory/huge_pages.h"

#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

#include "base/codes.h"
#include "dump/memory/record_memory.h"
#include "trace/tracee.h"

namespace blcr {
namespace {

constexpr uint64_t kPage = 4096;

}  // namespace

Result<uint8_t> HugeSizes::shiftOf(const Mapping& mapping) {
  if (!areRead_) {
    auto sizes = readHugePages(pid_);
    if (!sizes) return sizes.error();
    sizes_ = *std::move(sizes);
    areRead_ = true;
  }
  const auto size = sizes_.find(mapping.start);
  if (size == sizes_.end() || !std::has_single_bit(size->second))
    return Error{kErrorNoSupport, "process " + std::to_string(pid_) + ": " + mapping.path + ": the size of its huge pages is not told"};
  return uint8_t(std::countr_zero(size->second));
}

bool isAnonymousHuge(const Mapping& mapping) { return mapping.path == "/anon_hugepage (deleted)"; }

bool isNamelessHuge(const Mapping& mapping) {
  const bool deleted = mapping.path.ends_with(kDeleted) && mapping.major == 0;
  return deleted && (isAnonymousHuge(mapping) || mapping.path.starts_with("/memfd:") || mapping.path.starts_with("/SYSV"));
}

void recordReservation(const FrozenProcess& process, const Mapping& mapping, Recording& recording, image::Area& area) {
  const auto [owner, isFirst] = recording.hugeOwners.try_emplace({makedev(mapping.major, mapping.minor), mapping.inode}, process.pid);
  if (owner->second != process.pid) area.flags |= image::kNoReserve;
}

Status readHuge(const AttachedSegment& segment, uint64_t offset, std::span<std::byte> into) {
  // By a system call: a page that cannot be had would end this process.
  const RemoteMemory own(::getpid());
  const uint64_t address = reinterpret_cast<uint64_t>(segment.data()) + offset;
  if (own.read(address, into)) return {};
  for (size_t done = 0; done < into.size(); done += kPage) {
    const auto page = into.subspan(done, std::min<size_t>(kPage, into.size() - done));
    if (!own.read(address + done, page)) std::fill(page.begin(), page.end(), std::byte{0});
  }
  return {};
}

Result<uint8_t> hugeShiftOf(const AttachedSegment& segment) {
  auto sizes = readHugePages(::getpid());
  if (!sizes) return sizes.error();
  const auto size = sizes->find(reinterpret_cast<uint64_t>(segment.data()));
  if (size == sizes->end()) return uint8_t(0);
  if (!std::has_single_bit(size->second) || segment.size() % size->second != 0)
    return Error{kErrorNoSupport, std::to_string(segment.size()) + " bytes of huge pages of " + std::to_string(size->second)};
  return uint8_t(std::countr_zero(size->second));
}

}  // namespace blcr
