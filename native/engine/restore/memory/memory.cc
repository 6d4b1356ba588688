#include "restore/memory/memory.h"

#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "restore/files/system_v.h"
#include "restore/memory/free_place.h"
#include "restore/memory/huge_pages.h"
#include "restore/memory/ring_areas.h"

namespace blcr {
namespace {

using image::Area;
using image::AreaKind;

// Of newer kernels than Debian 12's headers. Source: linux/prctl.h, asm/unistd_64.h
constexpr uint64_t kSetDenyWriteExecute = 65, kSetMemoryMerge = 67;
constexpr uint64_t kMapDroppable = 8;
constexpr long kMseal = 462;

std::string hexAddress(uint64_t address) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(address));
  return text;
}

uint64_t mapFlags(const Area& area) {
  uint64_t flags = MAP_FIXED | (area.shared ? MAP_SHARED : MAP_PRIVATE);
  if (area.kind == AreaKind::kAnonymous) flags |= MAP_ANONYMOUS;
  if (area.kind == AreaKind::kAnonymous) flags |= hugeFlags(area.hugeShift, MAP_HUGETLB);
  if ((area.flags & image::kGrowsDown) != 0) flags |= MAP_GROWSDOWN;
  if ((area.flags & image::kNoReserve) != 0) flags |= MAP_NORESERVE;
  return flags;
}

Status adviseArea(Stub& stub, const Area& area) {
  constexpr struct {
    uint32_t flag;
    int advice;
  } kAdvice[] = {{image::kHugePage, MADV_HUGEPAGE},     {image::kNoHugePage, MADV_NOHUGEPAGE}, {image::kDontFork, MADV_DONTFORK},
                 {image::kWipeOnFork, MADV_WIPEONFORK}, {image::kDontDump, MADV_DONTDUMP},     {image::kMergeable, MADV_MERGEABLE},
                 {image::kSequential, MADV_SEQUENTIAL}, {image::kRandom, MADV_RANDOM}};
  for (const auto& [flag, advice] : kAdvice) {
    if ((area.flags & flag) == 0) continue;
    auto done = stub.attempt(SYS_madvise, {area.start, area.end - area.start, uint64_t(advice)});
    if (!done.ok()) return done.error();
    // A kernel without huge pages or page merging: advice is advice. The two fork flags change what a program sees.
    if (done.value() < 0 && (flag == image::kDontFork || flag == image::kWipeOnFork))
      return Error{int(-done.value()), "madvise of the area at " + hexAddress(area.start)};
  }
  return {};
}

/** Memory whose content may go at any time (Linux 6.11); elsewhere it stays, but is not a child's either. */
Status mapDroppable(Stub& stub, const Area& area) {
  const uint64_t size = area.end - area.start;
  for (const uint64_t type : {kMapDroppable, uint64_t(MAP_PRIVATE)}) {
    const auto made = stub.attempt(SYS_mmap, {area.start, size, area.protection, MAP_FIXED | MAP_ANONYMOUS | type, ~0ull, 0});
    if (!made.ok()) return made.error();
    if (type == kMapDroppable && made.value() >= 0) break;
    if (type == kMapDroppable) continue;
    if (made.value() < 0) return Error{int(-made.value()), "mapping " + hexAddress(area.start)};
    BLCR_TRY(done(stub.call("madvise", SYS_madvise, {area.start, size, MADV_WIPEONFORK})));
  }
  return adviseArea(stub, area);
}

Status mapArea(const Job& job, Stub& stub, const Area& area, const Sources& sources) {
  if (area.kind == AreaKind::kShared && job.image.shared[area.file].ipc.id >= 0) {
    BLCR_TRY(attachArea(stub, area, job.image.shared[area.file]));
    return adviseArea(stub, area);
  }
  if ((area.flags & image::kDroppable) != 0) return mapDroppable(stub, area);
  if (area.kind == AreaKind::kRing) return adviseArea(stub, area);  // mapRings() came first
  std::string what = "mapping " + hexAddress(area.start);
  int fd = -1;
  if (area.kind == AreaKind::kFile) {
    fd = area.shared && area.maybeWritable ? sources.mappedWritable[area.file] : sources.mapped[area.file];
    what += " of " + job.image.mapped[area.file].path;
  } else if (area.kind == AreaKind::kShared) {
    // What was mapped for reading only must stay so: a seal against writing is refused while a mapping could be made writable, and
    // what is open for writing cannot be executed.
    fd = area.shared && area.maybeWritable ? sources.segments[area.file] : sources.segmentsReadable[area.file];
  }
  const uint64_t size = area.end - area.start;
  auto done = stub.call(what, SYS_mmap, {area.start, size, area.protection, mapFlags(area), uint64_t(int64_t(fd)), area.offset});
  if (!done.ok()) return explainHuge(done.error(), area.hugeShift);
  return adviseArea(stub, area);
}

/** Before any page is there. A node that this machine lacks costs speed only. */
Status bindAreas(Job& job, Stub& stub, const image::Process& process) {
  for (const image::RangePolicy& policy : process.memory.policies) {
    const auto mask = stub.put(std::as_bytes(std::span(policy.nodes.data(), policy.nodes.size())));
    if (!mask.ok()) return mask.error();
    const uint64_t length = policy.range.end - policy.range.start, bits = 8 * uint64_t(policy.nodes.size());
    const auto set = stub.attempt(SYS_mbind, {policy.range.start, length, uint64_t(unsigned(policy.mode)), mask.value(), bits, 0});
    if (!set.ok()) return set.error();
    if (set.value() < 0)
      job.log.line("process " + std::to_string(process.pid) + ": the memory policy of the area at " + hexAddress(policy.range.start) +
                   " cannot be set here: " + std::strerror(int(-set.value())));
  }
  return {};
}

/** Code, data, brk, stack, arguments and environment as the kernel knows them, the auxiliary vector and /proc/PID/exe. */
Status describeMemory(const Job& job, Building& building, const Sources& sources) {
  const image::AddressSpace& memory = building.process->memory;
  Stub& stub = building.leader();
  prctl_mm_map map{};
  map.start_code = memory.startCode;
  map.end_code = memory.endCode;
  map.start_data = memory.startData;
  map.end_data = memory.endData;
  map.start_brk = memory.startBrk;
  map.brk = memory.brk;
  map.start_stack = memory.startStack;
  map.arg_start = memory.argStart;
  map.arg_end = memory.argEnd;
  map.env_start = memory.envStart;
  map.env_end = memory.envEnd;
  // The kernel does not replace an executable that is mapped, not by itself either.
  const bool hasExe = building.bornIn != nullptr && building.bornIn->process->memory.exe == memory.exe;
  map.exe_fd = memory.exe == image::kNone || hasExe ? ~0u : uint32_t(sources.mapped[memory.exe]);
  const auto auxv = stub.put(std::as_bytes(std::span(memory.auxv.data(), memory.auxv.size())));
  if (!auxv.ok()) return auxv.error();
  map.auxv = reinterpret_cast<__u64*>(auxv.value());
  map.auxv_size = uint32_t(memory.auxv.size());
  const auto at = stub.putObject(map);
  if (!at.ok()) return at.error();
  const std::string path = memory.exe == image::kNone ? "none" : job.image.mapped[memory.exe].path;
  return done(stub.call("describing its memory, executable " + path, SYS_prctl, {PR_SET_MM, PR_SET_MM_MAP, at.value(), sizeof map}));
}

}  // namespace

Result<ScratchPage> chooseScratch(const image::Image& image, const KernelAreas& areas) {
  Ranges used;
  for (const Mapping& mapping : areas.coordinator) used.emplace_back(mapping.start, mapping.end);
  for (const image::Process& process : image.processes) {
    const Ranges ranges = usedRanges(process);
    used.insert(used.end(), ranges.begin(), ranges.end());
  }
  const auto place = lowFreePlace(std::move(used), ScratchPage::kSize);
  if (!place.ok()) return place.error();
  return ScratchPage{place.value()};
}

/** Gives an area that came by fork its size and protection. Areas that are not writable may be open for loading in the other process. */
static Status adoptArea(Stub& stub, const image::InheritedArea& inherited) {
  const Area& own = *inherited.own;
  const uint64_t size = own.end - own.start;
  if (inherited.end < own.end)
    BLCR_TRY(done(stub.call("growing the area at " + hexAddress(own.start), SYS_mremap, {own.start, inherited.end - own.start, size, 0})));
  if (own.protection == inherited.source->protection && (own.protection & PROT_WRITE) != 0) return {};
  return done(stub.call("mprotect", SYS_mprotect, {own.start, size, own.protection}));
}

static Status layOut(Job& job, Building& building, const Sources& sources) {
  auto inherited = building.inherited.begin();
  for (const Area& area : building.process->memory.areas) {
    if (isKernelArea(area)) continue;
    const bool isInherited = inherited != building.inherited.end() && inherited->own == &area;
    BLCR_TRY(isInherited ? adoptArea(building.leader(), *inherited++) : mapArea(job, building.leader(), area, sources));
  }
  return {};
}

/** A stub that was born in the memory of another one has the kernel's areas where that one has them. */
static Status clear(Job& job, Building& building, const KernelAreas& areas) {
  if (building.bornIn == nullptr || building.bornIn->isBridged) return placeKernelAreas(job, building, areas);
  const KernelAreas there = areas.asIn(*building.bornIn->process);
  return building.inherited.empty() ? placeKernelAreas(job, building, there) : keepInherited(building, there);
}

Status buildMemory(Job& job, Building& building, const KernelAreas& areas, const Sources& sources) {
  Stub& stub = building.leader();
  Status done = clear(job, building, areas);
  if (done.ok()) done = mapRings(building, sources);
  if (done.ok()) done = layOut(job, building, sources);
  if (done.ok()) done = bindAreas(job, stub, *building.process);
  if (done.ok()) done = describeMemory(job, building, sources);
  if (!done.ok()) return inProcess(*building.process, done.error());
  building.hasMemory = true;
  return {};
}

/** Settings that forbid what the restart itself did a moment ago, or would make its own areas special. */
static Status forbidChanges(Job& job, Stub& stub, const image::Process& process) {
  const image::AddressSpace& memory = process.memory;
  const auto wish = [&](const char* what, long number, std::array<uint64_t, 6> arguments) -> Result<long> {
    auto result = stub.attempt(number, arguments);
    if (result.ok() && result.value() < 0)
      job.log.line("process " + std::to_string(process.pid) + ": " + what + " cannot be set here: " + std::strerror(int(-result.value())));
    return result;
  };
  if (memory.lockFuture != 0) {
    if (const auto set = wish("mlockall", SYS_mlockall, {memory.lockFuture}); !set.ok()) return set.error();
  }
  if (memory.mergeAll) {
    if (const auto set = wish("page merging", SYS_prctl, {kSetMemoryMerge, 1, 0, 0, 0}); !set.ok()) return set.error();
  }
  for (uint32_t bit = 0; bit < 31; ++bit) {
    if ((memory.barriers >> bit & 1) == 0) continue;
    auto set = stub.call("membarrier", SYS_membarrier, {1u << bit, 0, 0});
    if (!set.ok()) return set.error();
  }
  for (const Area& area : memory.areas) {
    if ((area.flags & image::kSealed) == 0 || isKernelArea(area)) continue;
    auto sealed = stub.call("mseal", kMseal, {area.start, area.end - area.start, 0});
    if (!sealed.ok()) return sealed.error();
  }
  if (memory.denyWriteExecute != 0) {
    auto set = stub.call("denying executable memory", SYS_prctl, {kSetDenyWriteExecute, uint64_t(memory.denyWriteExecute), 0, 0, 0});
    if (!set.ok()) return set.error();
  }
  return {};
}

/** Last of all that touches pages: a guard is hit by system calls, too. */
static Status installGuards(Stub& stub, const image::AddressSpace& memory) {
  constexpr uint64_t kGuardInstall = 102;  // linux/mman.h of Linux 6.13
  for (const image::AddressRange& guard : memory.guards) {
    auto done = stub.call("guard region at " + hexAddress(guard.start), SYS_madvise, {guard.start, guard.end - guard.start, kGuardInstall});
    if (!done.ok()) return done.error();
  }
  return {};
}

Status sealMemory(Job& job, Building& building) {
  Stub& stub = building.leader();
  BLCR_TRY(installGuards(stub, building.process->memory));
  for (const Area& area : building.process->memory.areas) {
    if ((area.flags & (image::kLocked | image::kLockOnFault)) == 0 || isKernelArea(area)) continue;
    const uint64_t how = (area.flags & image::kLockOnFault) != 0 ? MLOCK_ONFAULT : 0;
    const auto done = stub.attempt(SYS_mlock2, {area.start, area.end - area.start, how});
    if (!done.ok()) return done.error();
    // Locked memory is a wish about speed and secrecy; a lower limit on this node must not cost the job its life.
    if (done.value() < 0) {
      job.log.line("process " + std::to_string(building.process->pid) + ": memory at " + hexAddress(area.start) +
                   " is no longer locked (RLIMIT_MEMLOCK)");
      break;
    }
  }
  auto done = stub.call("munmap", SYS_munmap, {stub.scratch().address, ScratchPage::kSize});
  if (!done.ok()) return done.error();
  return forbidChanges(job, stub, *building.process);
}

}  // namespace blcr
