#include "restore/memory/kernel_areas.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include <algorithm>

#include "arch/x86_64/vdso.h"
#include "arch/x86_64/vdso_bridge.h"
#include "base/codes.h"
#include "base/features.h"
#include "base/io.h"
#include "image/ended_task.h"
#include "restore/memory/free_place.h"

namespace blcr {
namespace {

using image::Area;
using image::AreaKind;

constexpr AreaKind kKinds[] = {AreaKind::kVvar, AreaKind::kVvarVclock, AreaKind::kVdso};

const char* nameOf(AreaKind kind) { return kind == AreaKind::kVdso ? "[vdso]" : kind == AreaKind::kVvar ? "[vvar]" : "[vvar_vclock]"; }

const Area* findArea(const image::Process& process, AreaKind kind) {
  const auto& areas = process.memory.areas;
  const auto found = std::find_if(areas.begin(), areas.end(), [kind](const Area& area) { return area.kind == kind; });
  return found == areas.end() ? nullptr : &*found;
}

Status moveArea(Stub& stub, const char* name, uint64_t from, uint64_t to, uint64_t size) {
  if (!featureAllowed("vdso_move")) return Error{EPERM, std::string("moving ") + name + " is switched off"};
  const auto moved = stub.call(std::string("moving ") + name, SYS_mremap, {from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to});
  return moved.ok() ? Status() : moved.error();
}

/** Unmaps all but what lies in `kept`, which are ascending. */
Status clearExcept(Stub& stub, std::vector<std::pair<uint64_t, uint64_t>> kept) {
  std::sort(kept.begin(), kept.end());
  kept.emplace_back(kUserEnd, kUserEnd);
  uint64_t from = 0;
  for (const auto& [start, end] : kept) {
    if (start > from) {
      auto done = stub.call("munmap", SYS_munmap, {from, start - from});
      if (!done.ok()) return done.error();
    }
    from = std::max(from, end);
  }
  return {};
}

std::vector<std::pair<uint64_t, uint64_t>> withScratch(const Stub& stub, std::vector<std::pair<uint64_t, uint64_t>> kept) {
  kept.emplace_back(stub.scratch().address, stub.scratch().end());
  return kept;
}

/** Without randomised addresses nothing has to be moved, and so nothing can be in the way of being moved. */
bool areAlreadyThere(const image::Process& process, const KernelAreas& areas) {
  return std::all_of(std::begin(kKinds), std::end(kKinds), [&](AreaKind kind) {
    const Mapping* own = areas.find(kind);
    const Area* wanted = findArea(process, kind);
    return own == nullptr ? wanted == nullptr : wanted != nullptr && wanted->start == own->start;
  });
}

/** The same kernel: parks the areas beside the scratch page, because their places may overlap, and moves them to where the job had them. */
Status moveToOldPlaces(Stub& stub, const image::Process& process, const KernelAreas& areas) {
  if (areAlreadyThere(process, areas)) return clearExcept(stub, withScratch(stub, areas.places()));
  uint64_t parked = stub.scratch().parking();
  std::vector<std::pair<AreaKind, uint64_t>> moves;
  for (const AreaKind kind : kKinds) {
    const Mapping* own = areas.find(kind);
    if (own == nullptr) continue;
    BLCR_TRY(moveArea(stub, nameOf(kind), own->start, parked, own->end - own->start));
    if (kind == AreaKind::kVdso) stub.moveInstruction(parked + areas.syscallOffset);
    moves.emplace_back(kind, parked);
    parked += own->end - own->start;
  }
  BLCR_TRY(clearExcept(stub, {{stub.scratch().address, parked}}));
  for (const auto& [kind, at] : moves) {
    const Mapping* own = areas.find(kind);
    const Area* wanted = findArea(process, kind);
    if (wanted == nullptr) continue;  // the job had removed it; what is parked goes with the scratch page
    BLCR_TRY(moveArea(stub, nameOf(kind), at, wanted->start, own->end - own->start));
    if (kind == AreaKind::kVdso) stub.moveInstruction(wanted->start + areas.syscallOffset);
  }
  return {};
}

/** Moves the areas as a whole to a place that neither the job nor anything needed here occupies; EPERM when the kernel seals them. */
Result<uint64_t> moveAside(Stub& stub, const image::Process& process, const KernelAreas& areas) {
  std::vector<std::pair<uint64_t, uint64_t>> used = usedRanges(process);
  used.emplace_back(stub.scratch().address, stub.scratch().end());
  used.emplace_back(areas.start(), areas.end());
  const auto place = highFreePlace(std::move(used), areas.end() - areas.start());
  if (!place.ok()) return place.error();
  for (const AreaKind kind : kKinds) {
    const Mapping* own = areas.find(kind);
    if (own == nullptr) continue;
    BLCR_TRY(moveArea(stub, nameOf(kind), own->start, place.value() + (own->start - areas.start()), own->end - own->start));
  }
  stub.moveInstruction(place.value() + (areas.vdso.start - areas.start()) + areas.syscallOffset);
  return place.value();
}

/** The recorded vdso as ordinary memory at its old address. */
Status layBridge(Stub& stub, const image::Host& host, const Area& area, const KernelAreas& areas, uint64_t vdsoAddress) {
  const auto code = bridgeVdso(std::as_bytes(std::span(host.vdso)), areas.code, vdsoAddress);
  if (!code.ok()) return code.error();
  constexpr uint64_t kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  const uint64_t size = area.end - area.start;
  auto mapped = stub.call("mapping the recorded vdso", SYS_mmap, {area.start, size, PROT_READ | PROT_WRITE, kFlags, ~0ull, 0});
  if (!mapped.ok()) return mapped.error();
  BLCR_TRY(stub.write(area.start, std::as_bytes(std::span(code.value()))));
  auto sealed = stub.call("mprotect", SYS_mprotect, {area.start, size, area.protection});
  if (!sealed.ok()) return sealed.error();
  return {};
}

/** Other areas than the job's, or areas that cannot be moved. */
Status bridge(Job& job, Building& building, const KernelAreas& areas) {
  Stub& stub = building.leader();
  const image::Process& process = *building.process;
  building.isBridged = true;
  auto place = moveAside(stub, process, areas);
  if (!place.ok() && place.error().code == EPERM) {
    for (const auto& [start, end] : usedRanges(process))
      if (start < areas.end() && end > areas.start())
        return Error{EAGAIN,
                     "this kernel seals its own mappings, and the job has memory where they are: another attempt may find them elsewhere"};
    place = areas.start();
  }
  if (!place.ok()) return place.error();
  const ScratchPage scratch = stub.scratch();
  BLCR_TRY(clearExcept(stub, {{scratch.address, scratch.end()}, {place.value(), place.value() + (areas.end() - areas.start())}}));
  const Area* old = findArea(process, AreaKind::kVdso);
  if (old == nullptr) return {};
  return layBridge(stub, job.image.host, *old, areas, place.value() + (areas.vdso.start - areas.start()));
}

}  // namespace

const Mapping* KernelAreas::find(AreaKind kind) const {
  const Mapping& area = kind == AreaKind::kVdso ? vdso : kind == AreaKind::kVvar ? vvar : vvarVclock;
  return area.end == 0 ? nullptr : &area;
}

uint64_t KernelAreas::start() const {
  uint64_t lowest = vdso.start;
  for (const AreaKind kind : kKinds)
    if (const Mapping* area = find(kind)) lowest = std::min(lowest, area->start);
  return lowest;
}

uint64_t KernelAreas::end() const {
  uint64_t highest = vdso.end;
  for (const AreaKind kind : kKinds)
    if (const Mapping* area = find(kind)) highest = std::max(highest, area->end);
  return highest;
}

std::vector<std::pair<uint64_t, uint64_t>> KernelAreas::places() const {
  std::vector<std::pair<uint64_t, uint64_t>> all;
  for (const AreaKind kind : kKinds)
    if (const Mapping* area = find(kind)) all.emplace_back(area->start, area->end);
  return all;
}

KernelAreas KernelAreas::asIn(const image::Process& process) const {
  KernelAreas moved{vdso, vvar, vvarVclock, syscallOffset, {}, code};
  const std::pair<AreaKind, Mapping*> each[] = {
      {AreaKind::kVdso, &moved.vdso}, {AreaKind::kVvar, &moved.vvar}, {AreaKind::kVvarVclock, &moved.vvarVclock}};
  for (const auto& [kind, mapping] : each) {
    const Area* there = findArea(process, kind);
    if (there == nullptr) continue;
    mapping->start = there->start;
    mapping->end = there->end;
  }
  return moved;
}

Result<KernelAreas> kernelAreas() {
  const auto text = readFile("/proc/self/maps");  // "self" also in a /proc that belongs to another pid namespace
  if (!text.ok()) return text.error();
  auto maps = parseMaps(text.value());
  if (!maps) return maps.error();
  KernelAreas areas;
  for (const Mapping& mapping : *maps) {
    if (mapping.path == "[vdso]") areas.vdso = mapping;
    if (mapping.path == "[vvar]") areas.vvar = mapping;
    if (mapping.path == "[vvar_vclock]") areas.vvarVclock = mapping;
  }
  areas.coordinator = *std::move(maps);
  if (areas.vdso.end == 0) return Error{ENOTSUP, "this kernel gives its processes no vdso"};
  areas.code = {reinterpret_cast<const std::byte*>(areas.vdso.start), areas.vdso.end - areas.vdso.start};
  const auto offset = findSyscall(areas.code);
  if (!offset.ok()) return offset.error();
  areas.syscallOffset = offset.value();
  return areas;
}

bool needsBridge(const image::Host& host, const image::Process& process, const KernelAreas& areas) {
  const std::string_view here(reinterpret_cast<const char*>(areas.code.data()), areas.code.size());
  if (here != host.vdso || !featureAllowed("same_vdso")) return true;
  for (const Area& area : process.memory.areas) {
    if (area.kind < AreaKind::kVdso) continue;
    const Mapping* own = areas.find(area.kind);
    if (own == nullptr || own->end - own->start != area.end - area.start) return true;
  }
  return false;
}

bool canBeForked(const image::Host& host, const image::Process& process, const KernelAreas& areas) {
  const auto has = [&](AreaKind kind) { return areas.find(kind) == nullptr || findArea(process, kind) != nullptr; };
  return !needsBridge(host, process, areas) && std::all_of(std::begin(kKinds), std::end(kKinds), has);
}

Status checkKernelAreas(const image::Image& image, const KernelAreas& areas) {
  for (const image::Process& process : image.processes) {
    const Area* vdso = findArea(process, AreaKind::kVdso);
    if (vdso == nullptr || !needsBridge(image.host, process, areas)) continue;
    if (vdso->end - vdso->start != image.host.vdso.size())
      return inProcess(process, Error{kErrorBadArchitecture, "it has only a part of the vdso of kernel " + image.host.kernel});
    const auto bridged = bridgeVdso(std::as_bytes(std::span(image.host.vdso)), areas.code, 0);
    if (!bridged.ok()) return bridged.error();
    for (const image::Task& task : process.tasks) {
      if (image::hasEnded(task)) continue;
      user_regs_struct regs{};
      std::memcpy(&regs, task.regs.data(), sizeof regs);
      if (regs.rip >= vdso->start && regs.rip < vdso->end)
        return inProcess(process, Error{kErrorBadArchitecture, "thread " + std::to_string(task.tid) + " was inside the vdso of kernel " +
                                                                   image.host.kernel + ": restart it there, or from another checkpoint"});
    }
  }
  return {};
}

Status placeKernelAreas(Job& job, Building& building, const KernelAreas& areas) {
  if (needsBridge(job.image.host, *building.process, areas)) return bridge(job, building, areas);
  const Status moved = moveToOldPlaces(building.leader(), *building.process, areas);
  // Sealed: nothing has been moved, or the kernel would seal some of them only.
  return !moved.ok() && moved.error().code == EPERM ? bridge(job, building, areas) : moved;
}

Status keepInherited(Building& building, const KernelAreas& areas) {
  auto kept = areas.places();
  for (const image::InheritedArea& each : building.inherited) kept.emplace_back(each.own->start, each.end);
  return clearExcept(building.leader(), withScratch(building.leader(), std::move(kept)));
}

}  // namespace blcr
