#include "restore/memory/ring_areas.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/user.h>

#include <algorithm>
#include <cstring>

#include "base/codes.h"
#include "proc/maps.h"
#include "restore/memory/free_place.h"

namespace blcr {
namespace {

using image::Area;

constexpr uint64_t kLowest = 0x10000;            // vm.mmap_min_addr at its usual value
constexpr uint64_t kStackGap = 256 * PAGE_SIZE;  // stack_guard_gap at its usual value
constexpr uint64_t k4G = 1ull << 32;
constexpr uint64_t kAbove4G = 0x80;  // MAP_ABOVE4G of Linux 6.6; older ones may choose a low address. Source: asm/mman.h
constexpr uint64_t kFillFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;

/** As the process itself sees it: /proc may show the coordinator's numbers, and "self" is right in either case. */
Result<std::vector<Mapping>> mapsOf(Stub& stub) {
  const auto path = stub.put("/proc/self/maps");
  if (!path.ok()) return path.error();
  const auto file = stub.call("its areas", SYS_openat, {uint64_t(int64_t(AT_FDCWD)), path.value(), O_RDONLY | O_CLOEXEC});
  if (!file.ok()) return file.error();
  std::string text;
  while (true) {
    const auto got = stub.call("its areas", SYS_read, {file.value(), stub.scratch().address, ScratchPage::kDataSize});
    if (!got.ok()) return got.error();
    if (got.value() == 0) break;
    std::string part(got.value(), '\0');
    BLCR_TRY(RemoteMemory(stub.tid()).read(stub.scratch().address, std::as_writable_bytes(std::span(part))));
    text += part;
  }
  BLCR_TRY(done(stub.call("its areas", SYS_close, {file.value()})));
  return parseMaps(text);
}

/** What is free of `used`, from an address on. */
Ranges freeRanges(Ranges used, uint64_t at) {
  std::sort(used.begin(), used.end());
  Ranges free;
  for (const auto& [start, end] : used) {
    if (start > at) free.emplace_back(at, std::min(start, kUserEnd));
    at = std::max(at, end);
  }
  if (at < kUserEnd) free.emplace_back(at, kUserEnd);
  return free;
}

/** Takes addresses: nothing is ever there. */
Status occupy(Stub& stub, uint64_t start, uint64_t end) {
  const auto taken = stub.attempt(SYS_mmap, {start, end - start, PROT_NONE, kFillFlags, ~0ull, 0});
  if (!taken.ok()) return taken.error();
  if (taken.value() >= 0) return {};
  const int code = int(-taken.value());
  if (code == ENOMEM)
    return Error{kErrorNoSupport, "an io_uring: the hard limit of the address space (RLIMIT_AS, ulimit -v) keeps it from its address"};
  return Error{code, "an io_uring: addresses cannot be taken for a moment: " + std::string(std::strerror(code))};
}

Status give(Stub& stub, uint64_t start, uint64_t end) { return done(stub.call("munmap", SYS_munmap, {start, end - start})); }

/**
 * Before Linux 6.6 the kernel would choose the addresses that no user may map: a stack above them keeps them free, because it could grow.
 * Such a stack as close to the lowest page as it may grow, or Linux 6.1 to 6.5 fail where they begin to look below the area:
 * unmapped_area_topdown() goes on below 0 then. Where the job itself has something there the stack is below that. 0 when there can be none.
 */
Result<uint64_t> guardLowest(Stub& stub, const Ranges& used) {
  const auto isLow = [](const auto& range) { return range.first < kLowest + kStackGap; };
  const uint64_t at = std::any_of(used.begin(), used.end(), isLow) ? kLowest : PAGE_SIZE + kStackGap;
  const auto made = stub.attempt(SYS_mmap, {at, PAGE_SIZE, PROT_NONE, kFillFlags | MAP_GROWSDOWN, ~0ull, 0});
  if (!made.ok()) return made.error();
  return made.value() >= 0 ? at : 0;
}

/** All other addresses are taken. */
Status mapInGap(Stub& stub, const Area& area, int fd) {
  BLCR_TRY(give(stub, area.start, area.end));
  const uint64_t size = area.end - area.start;
  const uint64_t flags = MAP_SHARED | (area.start >= k4G ? kAbove4G : 0);
  const auto at = stub.attempt(SYS_mmap, {0, size, area.protection, flags, uint64_t(fd), area.offset});
  if (!at.ok()) return at.error();
  if (at.value() == int64_t(area.start)) return {};
  // With a job that has something at very low addresses, before Linux 6.6: it depends on where the kernel begins to look, which differs
  // from one restart to the next.
  return Error{EAGAIN, "an io_uring: this kernel did not map it where the job had it; another attempt may"};
}

Status mapByElimination(Stub& stub, const std::vector<const Area*>& areas, const Sources& sources) {
  const auto maps = mapsOf(stub);
  if (!maps.ok()) return maps.error();
  Ranges used;
  for (const Mapping& mapping : maps.value()) used.emplace_back(mapping.start, mapping.end);
  for (const Area* area : areas) used.emplace_back(area->start, area->end);
  const auto guard = guardLowest(stub, used);
  if (!guard.ok()) return guard.error();
  const uint64_t lowest = guard.value();
  if (lowest != 0) used.emplace_back(lowest, lowest + PAGE_SIZE);
  const Ranges rest = freeRanges(std::move(used), lowest != 0 ? lowest : k4G);
  for (const auto& [start, end] : rest) BLCR_TRY(occupy(stub, start, end));
  for (const Area* area : areas) BLCR_TRY(occupy(stub, area->start, area->end));
  for (const Area* area : areas) BLCR_TRY(mapInGap(stub, *area, sources.rings[area->file]));
  for (const auto& [start, end] : rest) BLCR_TRY(give(stub, start, end));
  return lowest != 0 ? give(stub, lowest, lowest + PAGE_SIZE) : Status();
}

}  // namespace

Status mapRings(Building& building, const Sources& sources) {
  Stub& stub = building.leader();
  std::vector<const Area*> refused;
  for (const Area& area : building.process->memory.areas) {
    if (area.kind != image::AreaKind::kRing) continue;
    const std::array<uint64_t, 6> arguments = {
        area.start, area.end - area.start, area.protection, MAP_SHARED | MAP_FIXED, uint64_t(sources.rings[area.file]), area.offset};
    const auto mapped = stub.attempt(SYS_mmap, arguments);
    if (!mapped.ok()) return mapped.error();
    if (mapped.value() < 0 && mapped.value() != -EINVAL) return Error{int(-mapped.value()), "mapping an io_uring"};
    if (mapped.value() < 0) refused.push_back(&area);
  }
  return refused.empty() ? Status() : mapByElimination(stub, refused, sources);
}

}  // namespace blcr
