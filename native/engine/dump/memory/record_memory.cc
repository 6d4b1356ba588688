#include "dump/memory/record_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "base/codes.h"
#include "base/io.h"
#include "dump/files/system_v.h"
#include "dump/memory/carry_files.h"
#include "dump/memory/huge_pages.h"
#include "dump/memory/ring_views.h"

namespace blcr {
namespace {

struct FlagName {
  const char* code;
  image::AreaFlag flag;
};
constexpr FlagName kFlagNames[] = {
    {"gd", image::kGrowsDown},   {"nr", image::kNoReserve},  {"hg", image::kHugePage}, {"nh", image::kNoHugePage},
    {"dc", image::kDontFork},    {"wf", image::kWipeOnFork}, {"dd", image::kDontDump}, {"lo", image::kLocked},
    {"lf", image::kLockOnFault}, {"mg", image::kMergeable},  {"sl", image::kSealed},   {"sr", image::kSequential},
    {"rr", image::kRandom},      {"dp", image::kDroppable},
};

// What else of VmFlags matters, above the bits of image::AreaFlag.
constexpr uint32_t kProtectionKey = 1u << 26, kShadowStack = 1u << 27, kHugeFile = 1u << 28, kDevice = 1u << 29, kUserFault = 1u << 30,
                   kMayWrite = 1u << 31;

constexpr uint32_t kAreaFlags = ~(kProtectionKey | kShadowStack | kHugeFile | kDevice | kUserFault | kMayWrite);
// A copy of a process has these as the original had them at that moment; its memory is not locked, and fork advice was lifted for it.
constexpr uint32_t kCopiedFlags = kAreaFlags & ~(image::kDontFork | image::kWipeOnFork | image::kLocked | image::kLockOnFault);

constexpr uint32_t kImpliedByDroppable = image::kNoReserve | image::kWipeOnFork | image::kDontDump;

/** The line of smaps as bits: looking for codes in text would take longer than everything else that is done with an area in the stop. */
uint32_t vmBits(std::string_view vmFlags) {
  uint32_t bits = 0;
  for (const FlagName& entry : kFlagNames) {
    if (hasVmFlag(vmFlags, entry.code)) bits |= entry.flag;
  }
  if (hasVmFlag(vmFlags, "pk")) bits |= kProtectionKey;
  if (hasVmFlag(vmFlags, "ss")) bits |= kShadowStack;
  if (hasVmFlag(vmFlags, "ht")) bits |= kHugeFile;
  if (hasVmFlag(vmFlags, "pf") || hasVmFlag(vmFlags, "io")) bits |= kDevice;
  if (hasVmFlag(vmFlags, "um") || hasVmFlag(vmFlags, "uw")) bits |= kUserFault;
  if (hasVmFlag(vmFlags, "mw")) bits |= kMayWrite;
  if ((bits & image::kDroppable) != 0) bits &= ~kImpliedByDroppable;
  return bits;
}

using VmBits = std::map<uint64_t, uint32_t>;  // by start address

Result<VmBits> readVmBits(pid_t pid) {
  const auto flags = readVmFlags(pid);
  if (!flags) return flags.error();
  VmBits bits;
  for (const auto& [start, text] : flags.value()) bits.emplace_hint(bits.end(), start, vmBits(text));
  return bits;
}

Error refuse(pid_t pid, const Mapping& mapping, const std::string& why) {
  return Error{kErrorNoSupport,
               "process " + std::to_string(pid) + ": " + (mapping.path.empty() ? "anonymous memory" : mapping.path) + ": " + why};
}

ObjectKey keyOf(const Mapping& mapping) { return {makedev(mapping.major, mapping.minor), mapping.inode}; }

/** The part of the hint that an area of the stop continues: same backing, overlapping (it may have grown, shrunk or been split). */
const uint32_t* inheritedFlags(const MemoryHint& hint, const Mapping& mapping) {
  auto next = std::upper_bound(hint.maps.begin(), hint.maps.end(), mapping.start,
                               [](uint64_t address, const Mapping& other) { return address < other.end; });
  for (; next != hint.maps.end() && next->start < mapping.end; ++next) {
    if (next->inode != mapping.inode || next->shared != mapping.shared || next->protection != mapping.protection) continue;
    const auto flags = hint.flags.find(next->start);
    if (flags != hint.flags.end()) return &flags->second;
  }
  return nullptr;
}

/** Whether copying the process means to change, for a moment, what its areas do at a fork: on no account by an old list. */
bool advisesForks(const MemoryHint& hint) {
  return std::any_of(hint.flags.begin(), hint.flags.end(),
                     [](const auto& entry) { return (entry.second & (image::kDontFork | image::kWipeOnFork)) != 0; });
}

/**
 * VmFlags of every area. smaps walks all page tables (33 ms per 2 GiB measured), so it is read inside the stop only when the stop is long
 * anyway, or an area is there that the hint does not know, or must not be wrong about. confirmMemory() looks after the rest.
 */
Result<VmBits> currentFlags(const FrozenProcess& process, const Recording& recording) {
  const auto hint = recording.hints.find(process.pid);
  if (recording.copiesInStop || hint == recording.hints.end() || advisesForks(hint->second)) return readVmBits(process.speaker());
  VmBits flags;
  for (const Mapping& mapping : process.maps) {
    const uint32_t* known = inheritedFlags(hint->second, mapping);
    if (known == nullptr) return readVmBits(process.speaker());
    flags.emplace_hint(flags.end(), mapping.start, *known);
  }
  return flags;
}

/** True when the name of a file mapping still leads to the mapped file; asked once for each file. */
bool nameIsGood(const Mapping& mapping, const Recording& recording, struct stat& info) {
  if (recording.mappedOf.contains({mapping.path, mapping.inode})) {
    info.st_ino = mapping.inode;  // all that mappedIndex wants to know of a file it has
    return true;
  }
  // Only the inode is compared: overlay and btrfs show another device in maps than in stat.
  return ::stat(mapping.path.c_str(), &info) == 0 && info.st_ino == mapping.inode && S_ISREG(info.st_mode);
}

void addView(Recording& recording, uint32_t segment, pid_t pid, const Mapping& mapping) {
  SegmentSource& source = recording.segments[segment];
  const uint64_t length = mapping.end - mapping.start;
  source.views.push_back({pid, mapping.start, length, mapping.offset});
  // A descriptor or a name tells the true length, which need not be whole pages.
  if (!source.fd) source.size = std::max(source.size, mapping.offset + length);
}

Status recordBacked(const FrozenProcess& process, const Mapping& mapping, uint32_t vmFlags, Recording& recording, image::Area& area) {
  area.offset = mapping.offset;
  area.maybeWritable = mapping.shared && (vmFlags & kMayWrite) != 0;
  struct stat info{};
  const bool named = nameIsGood(mapping, recording, info);
  if (named && !isPosixSharedMemory(mapping.path)) {
    area.kind = image::AreaKind::kFile;
    area.file = mappedIndex(recording, mapping.path, info, mapping.shared);
    return {};
  }
  if (named || mapping.shared) {
    area.kind = image::AreaKind::kShared;
    area.file = segmentIndex(recording, keyOf(mapping), mapping.path);
    if (mapping.shared) addView(recording, area.file, process.speaker(), mapping);
    return named ? nameSegment(recording, area.file, mapping.path, info) : Status();
  }
  // A private mapping of a file that has no name (a library that was upgraded, a memfd): its pages are carried as memory.
  area.kind = image::AreaKind::kAnonymous;
  recording.carried[process.pid][mapping.start] = {keyOf(mapping), mapping.offset};
  area.offset = 0;
  return {};
}

/** "/SYSV00000000 (deleted)", on the kernel's own tmpfs; the inode is the segment's number. */
bool isSystemV(const Mapping& mapping) {
  return mapping.shared && mapping.major == 0 && mapping.path.starts_with("/SYSV") && mapping.path.ends_with(kDeleted);
}

void recordAttached(const FrozenProcess& process, const Mapping& mapping, uint32_t vmFlags, Recording& recording, image::Area& area) {
  area.kind = image::AreaKind::kShared;
  area.offset = mapping.offset;
  area.maybeWritable = (vmFlags & kMayWrite) != 0;
  area.file = attachedSegmentIndex(recording, int(mapping.inode));
  addView(recording, area.file, process.speaker(), mapping);
}

/** A copy of the process could not keep its huge pages: whoever has mapped them takes them from its children when none is free. */
Status recordHuge(HugeSizes& sizes, const Mapping& mapping, pid_t pid, uint32_t vmFlags, Recording& recording, image::Area& area) {
  if (!isNamelessHuge(mapping)) return refuse(pid, mapping, "memory of huge-page files is not supported");
  // Which of them are there shows nowhere, and whoever reads the others makes them, of what is free for everybody.
  if (isAnonymousHuge(mapping) && mapping.shared && (vmFlags & image::kNoReserve) != 0)
    return refuse(pid, mapping, "shared huge pages without a reservation (MAP_NORESERVE) are not supported");
  const auto shift = sizes.shiftOf(mapping);
  if (!shift.ok()) return shift.error();
  area.hugeShift = shift.value();
  recording.mustStay = true;
  return {};
}

Status recordArea(const FrozenProcess& process, const Mapping& mapping, uint32_t vmFlags, HugeSizes& sizes, Recording& recording,
                  image::AddressSpace& into) {
  const pid_t pid = process.pid;
  image::Area area;
  area.start = mapping.start;
  area.end = mapping.end;
  area.protection = uint8_t(mapping.protection);
  area.shared = mapping.shared;
  if (mapping.path == "[vdso]") {
    area.kind = image::AreaKind::kVdso;
  } else if (mapping.path == "[vvar]") {
    area.kind = image::AreaKind::kVvar;
  } else if (mapping.path == "[vvar_vclock]") {
    area.kind = image::AreaKind::kVvarVclock;
  } else {
    if ((vmFlags & kShadowStack) != 0) return refuse(pid, mapping, "a shadow stack is not supported");
    if ((vmFlags & kHugeFile) != 0) BLCR_TRY(recordHuge(sizes, mapping, pid, vmFlags, recording, area));
    // Before Linux 6.10 a ring counts as device memory.
    const bool ring = isRing(mapping);
    if (!ring && (vmFlags & kDevice) != 0) return refuse(pid, mapping, "device memory is not supported");
    if (mapping.path.starts_with("/[aio]")) return refuse(pid, mapping, "asynchronous I/O contexts are not supported");
    if (!ring && mapping.path.starts_with("anon_inode:")) return refuse(pid, mapping, "this kind of mapping is not supported");
    if (mapping.path == "[uprobes]") return refuse(pid, mapping, "probes are active in it");
    if ((vmFlags & kUserFault) != 0) return refuse(pid, mapping, "userfaultfd is not supported");
    // The kernel itself gives one to memory that may be executed only, and will again.
    if ((vmFlags & kProtectionKey) != 0 && mapping.protection != PROT_EXEC)
      return refuse(pid, mapping, "memory protection keys are not supported");
    area.flags = vmFlags & kAreaFlags;
    if (ring) {
      BLCR_TRY(recordRingView(pid, mapping, recording, area));
    } else if (isSystemV(mapping)) {
      recordAttached(process, mapping, vmFlags, recording, area);
    } else if (area.hugeShift != 0 && isAnonymousHuge(mapping) && !mapping.shared) {
      recordReservation(process, mapping, recording, area);
    } else if (mapping.inode != 0) {
      BLCR_TRY(recordBacked(process, mapping, vmFlags, recording, area));
    }
    if (area.kind == image::AreaKind::kShared && area.hugeShift != 0) recording.image.shared[area.file].hugeShift = area.hugeShift;
  }
  into.areas.push_back(area);
  return {};
}

/** The executable. One whose name does not lead to it any more travels along. */
void recordExecutable(pid_t pid, Recording& recording, image::AddressSpace& into) {
  const std::string link = "/proc/" + std::to_string(pid) + "/exe";
  const auto path = readLink(link);
  struct stat mine{}, named{};
  if (!path || ::stat(link.c_str(), &mine) != 0) return;
  const bool isNamed = ::stat(path.value().c_str(), &named) == 0 && mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
  into.exe = mappedIndex(recording, path.value(), mine, false);
  image::MappedFile& file = recording.image.mapped[into.exe];
  if (isNamed || file.deleted) return;
  file.deleted = true;
  file.identity = "deleted";
  if (!carryFile(recording, into.exe, link)) into.exe = image::kNone;  // restored without the link
}

}  // namespace

void takeHint(pid_t pid, pid_t speaker, Recording& recording) {
  auto maps = readMaps(speaker);
  auto flags = readVmBits(speaker);
  if (maps && flags) recording.hints[pid] = {*std::move(maps), *std::move(flags)};
}

bool isSharedMemoryLink(const std::string& link) {
  return link.ends_with(kDeleted) && (link.starts_with("/memfd:") || link == "/dev/zero (deleted)");
}

bool isPosixSharedMemory(const std::string& path) { return path.starts_with("/dev/shm/"); }

Status nameSegment(Recording& recording, uint32_t segment, const std::string& path, const struct stat& info) {
  image::SharedSegment& into = recording.image.shared[segment];
  SegmentSource& source = recording.segments[segment];
  into.path = path;
  into.mode = info.st_mode & 07777;
  into.fileOwner = {info.st_uid, info.st_gid};
  source.size = uint64_t(info.st_size);
  if (!source.fd) source.fd = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  return source.fd ? Status() : systemError(path);
}

uint32_t segmentIndex(Recording& recording, ObjectKey key, const std::string& link) {
  const auto known = recording.segmentOf.find(key);
  if (known != recording.segmentOf.end()) return known->second;
  const auto index = uint32_t(recording.image.shared.size());
  image::SharedSegment segment;
  static constexpr std::string_view kMemfd = "/memfd:";
  segment.memfd = link.starts_with(kMemfd);
  if (segment.memfd) segment.name = link.substr(kMemfd.size(), link.size() - kMemfd.size() - kDeleted.size());
  recording.image.shared.push_back(std::move(segment));
  recording.segments.emplace_back();
  recording.segmentOf[key] = index;
  return index;
}

uint32_t mappedIndex(Recording& recording, const std::string& path, const struct stat& info, bool writable) {
  const auto [entry, fresh] = recording.mappedOf.try_emplace({path, info.st_ino}, uint32_t(recording.image.mapped.size()));
  if (fresh) {
    image::MappedFile file;
    file.path = path;
    file.size = uint64_t(info.st_size);
    file.mtimeNs = int64_t(info.st_mtim.tv_sec) * 1000000000 + info.st_mtim.tv_nsec;
    recording.image.mapped.push_back(std::move(file));
    recording.identities.push_back({entry->second, info});
  }
  // A file that the job writes through memory changes all the time.
  if (writable) recording.image.mapped[entry->second].identity = "size";
  return entry->second;
}

bool isMappedUnnamed(const Recording& recording, ObjectKey key) {
  const auto shows = [key](const auto& view) { return view.second.file == key; };
  const auto has = [&](const auto& process) { return std::any_of(process.second.begin(), process.second.end(), shows); };
  return std::any_of(recording.carried.begin(), recording.carried.end(), has);
}

void joinUnnamedViews(Recording& recording) {
  for (image::Process& process : recording.image.processes) {
    const auto carried = recording.carried.find(process.pid);
    if (carried == recording.carried.end()) continue;
    for (image::Area& area : process.memory.areas) {
      const auto view = carried->second.find(area.start);
      if (view == carried->second.end()) continue;
      const auto segment = recording.segmentOf.find(view->second.file);
      if (segment == recording.segmentOf.end()) continue;
      // Without a descriptor, no more of the file is known than what is mapped shared.
      const SegmentSource& source = recording.segments[segment->second];
      if (!source.fd && view->second.offset + (area.end - area.start) > source.size) continue;
      area.kind = image::AreaKind::kShared;
      area.file = segment->second;
      area.offset = view->second.offset;
      carried->second.erase(view);
    }
  }
}

bool isTaskOf(pid_t task, const image::Process& process) {
  if (task == process.pid) return true;
  return std::any_of(process.tasks.begin(), process.tasks.end(), [task](const image::Task& each) { return each.tid == task; });
}

Status correctFlags(pid_t source, image::Process& into) {
  const auto bits = readVmBits(source);
  if (!bits) return bits.error();
  for (image::Area& area : into.memory.areas) {
    auto found = bits.value().upper_bound(area.start);
    if (found == bits.value().begin() || area.kind >= image::AreaKind::kVdso) continue;
    const uint32_t now = std::prev(found)->second;
    if (isTaskOf(source, into)) {
      // Of huge pages it may be of this process alone, see recordReservation().
      area.flags = (now & kAreaFlags) | (area.hugeShift != 0 ? area.flags & image::kNoReserve : 0);
    } else if (!area.shared) {
      area.flags = (area.flags & ~kCopiedFlags) | (now & kCopiedFlags);
      if ((now & image::kWipeOnFork) != 0 && (area.flags & image::kWipeOnFork) == 0)
        return Error{kErrorTemporary, "process " + std::to_string(into.pid) + ": it set MADV_WIPEONFORK just before its copy was made"};
    }
  }
  return {};
}

Status recordMemory(const FrozenProcess& process, Recording& recording, image::Process& into) {
  auto flags = currentFlags(process, recording);
  if (!flags) return flags.error();
  HugeSizes sizes(process.speaker());
  for (const Mapping& mapping : process.maps) {
    const auto found = flags->find(mapping.start);
    BLCR_TRY(recordArea(process, mapping, found == flags->end() ? 0 : found->second, sizes, recording, into.memory));
  }
  recordExecutable(process.speaker(), recording, into.memory);
  return {};
}

}  // namespace blcr
