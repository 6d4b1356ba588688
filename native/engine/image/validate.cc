#include "image/validate.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/memory_nodes.h"
#include "image/ended_task.h"

namespace blcr::image {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kTop = 0x00fffffffffff000ull;  // end of user space with five-level page tables
constexpr size_t kSiginfo = 128;
constexpr size_t kMaxXstate = 64 * 1024;
constexpr size_t kMaxVdso = 1 << 20;
constexpr size_t kMaxLayout = 3 * 64;
constexpr int32_t kMaxPid = 4 * 1024 * 1024;  // PID_MAX_LIMIT, linux/threads.h
constexpr int32_t kMaxDescriptor = 1 << 30;
constexpr uint64_t kMaxSegment = 1ull << 46;

Error wrong(const std::string& what) { return Error{EINVAL, "metadata: " + what}; }
std::string name(const Process& process) { return "process " + std::to_string(process.pid) + ": "; }

bool isIndex(uint32_t index, size_t size) { return index < size; }
bool isIndexOrNone(uint32_t index, size_t size) { return index == kNone || index < size; }
bool hasZero(const std::string& text) { return text.find('\0') != std::string::npos; }
bool isPid(int32_t pid) { return pid > 0 && pid <= kMaxPid; }

Status checkPending(const std::vector<PendingSignal>& pending, const std::string& who) {
  for (const PendingSignal& signal : pending)
    if (signal.siginfo.size() != kSiginfo) return wrong(who + "a pending signal of wrong size");
  return {};
}

/** As the kernel takes it: a power of two in six bits. Source: mmap(2), MAP_HUGE_SHIFT */
bool isHuge(uint8_t shift) { return shift > 12 && shift < 64; }

bool fitsHuge(uint64_t size, uint8_t shift) { return shift == 0 || (isHuge(shift) && size % (1ull << shift) == 0); }

Status checkArea(const Image& image, const Area& area, const std::string& who) {
  if (area.start >= area.end || area.start % kPage != 0 || area.end % kPage != 0 || area.end > kTop)
    return wrong(who + "an area with impossible bounds");
  if (area.protection > 7) return wrong(who + "an area with unknown protection");
  if (area.offset % kPage != 0) return wrong(who + "an area with an odd offset");
  if (area.kind == AreaKind::kFile && !isIndex(area.file, image.mapped.size())) return wrong(who + "an area of an unknown file");
  if (area.kind == AreaKind::kShared && !isIndex(area.file, image.shared.size())) return wrong(who + "an area of an unknown segment");
  if (!fitsHuge(area.start | area.end, area.hugeShift)) return wrong(who + "an area with odd huge pages");
  const uint8_t shift = area.kind == AreaKind::kShared ? image.shared[area.file].hugeShift : area.hugeShift;
  if (shift != area.hugeShift || (area.kind != AreaKind::kAnonymous && area.kind != AreaKind::kShared && shift != 0))
    return wrong(who + "an area with huge pages of something that has others");
  if (area.kind == AreaKind::kRing && (!isIndex(area.file, image.rings.size()) || !area.shared))
    return wrong(who + "an area of an unknown ring");
  return {};
}

Status checkMemory(const Image& image, const Process& process) {
  const AddressSpace& memory = process.memory;
  uint64_t end = 0;
  size_t special[3] = {0, 0, 0};
  for (const Area& area : memory.areas) {
    BLCR_TRY(checkArea(image, area, name(process)));
    if (area.start < end) return wrong(name(process) + "areas overlap or are not sorted");
    end = area.end;
    if (area.kind >= AreaKind::kVdso && ++special[size_t(area.kind) - size_t(AreaKind::kVdso)] > 1)
      return wrong(name(process) + "a kernel area occurs twice");
  }
  for (const AddressRange& guard : memory.guards)
    if (guard.start >= guard.end || guard.start % kPage != 0 || guard.end % kPage != 0 || guard.end > kTop)
      return wrong(name(process) + "an impossible guard region");
  for (const RangePolicy& policy : memory.policies)
    if (policy.range.start >= policy.range.end || policy.range.end > kTop || policy.nodes.size() > kMaxNodes / 8)
      return wrong(name(process) + "an impossible memory policy");
  if (!isIndexOrNone(memory.exe, image.mapped.size())) return wrong(name(process) + "an unknown executable");
  if (memory.auxv.size() > kPage) return wrong(name(process) + "auxiliary vector too long");
  return {};
}

Status checkTask(const Task& task, const std::string& who) {
  if (task.regs.size() != sizeof(user_regs_struct) && !hasEnded(task)) return wrong(who + "registers of wrong size");
  if (task.xstate.size() > kMaxXstate) return wrong(who + "extended registers too long");
  if (hasZero(task.ownDirectory)) return wrong(who + "a working directory with a zero byte");
  if (hasZero(task.comm) || task.comm.size() > 15) return wrong(who + "a bad thread name");
  if (task.affinity.size() > 8192) return wrong(who + "an affinity mask too long");
  if (task.memoryNodes.size() > kMaxNodes / 8) return wrong(who + "a mask of memory nodes too long");
  if (task.stopSignal < 0 || task.stopSignal > 64) return wrong(who + "a bad stop signal");
  return checkPending(task.pending, who);
}

Status checkDescriptors(const Image& image, const Process& process) {
  std::unordered_set<int32_t> seen;
  for (const Descriptor& descriptor : process.descriptors) {
    if (descriptor.fd < 0 || descriptor.fd > kMaxDescriptor || !seen.insert(descriptor.fd).second)
      return wrong(name(process) + "descriptor " + std::to_string(descriptor.fd) + " is impossible or occurs twice");
    if (!isIndex(descriptor.file, image.files.size()))
      return wrong(name(process) + "descriptor " + std::to_string(descriptor.fd) + " of an unknown file");
  }
  return {};
}

Status checkAlive(const Image& image, const Process& process, std::unordered_set<int32_t>& tids) {
  if (process.tasks.empty() || process.tasks.front().tid != process.pid) return wrong(name(process) + "no leading thread");
  for (const Task& task : process.tasks) {
    if (!isPid(task.tid) || (task.tid != process.pid && !tids.insert(task.tid).second))
      return wrong(name(process) + "thread number " + std::to_string(task.tid) + " is impossible or occurs twice");
    BLCR_TRY(checkTask(task, name(process) + "thread " + std::to_string(task.tid) + ": "));
    if (hasEnded(task) && (task.tid != process.pid || process.tasks.size() == 1 || !WIFEXITED(process.exitStatus)))
      return wrong(name(process) + "thread " + std::to_string(task.tid) + " has ended");
  }
  if (process.actions.size() != 64) return wrong(name(process) + "not 64 signal actions");
  if (process.limits.size() > 16) return wrong(name(process) + "too many limits");
  if (hasZero(process.cwd) || hasZero(process.comm)) return wrong(name(process) + "a name with a zero byte");
  BLCR_TRY(checkPending(process.pending, name(process)));
  BLCR_TRY(checkDescriptors(image, process));
  for (const PosixTimer& timer : process.posixTimers)
    if (timer.id < 0 || timer.id > kMaxDescriptor) return wrong(name(process) + "a timer with an impossible number");
  return checkMemory(image, process);
}

Status checkHost(const Host& host) {
  if (host.vdso.size() > kMaxVdso) return wrong("a vdso of impossible size");
  if (host.xstateLayout.size() > kMaxLayout) return wrong("impossible extended registers");
  return {};
}

/** The keeper takes its number before any process of the job is made. */
Status checkKeeper(const Image& image) {
  if (image.keeper == 0) return {};
  if (!isPid(image.keeper) || isNumberOfJob(image, image.keeper)) return wrong("an impossible number of the keeper");
  return {};
}

/** Round in a circle nobody would come first. */
Status checkInheritance(const Image& image) {
  for (const Process& process : image.processes) {
    size_t steps = 0;
    for (const Process* at = &process; at->forkedFrom != kNone; at = &image.processes[at->forkedFrom]) {
      if (!isIndex(at->forkedFrom, image.processes.size()) || at->state != ProcessState::kAlive ||
          image.processes[at->forkedFrom].state != ProcessState::kAlive || ++steps > image.processes.size())
        return wrong(name(process) + "impossible inheritance");
    }
  }
  return {};
}

Status checkProcesses(const Image& image) {
  std::unordered_map<int32_t, ProcessState> seen;
  std::unordered_set<int32_t> tids;
  for (const Process& process : image.processes) {
    if (!isPid(process.pid) || seen.contains(process.pid)) return wrong(name(process) + "number is impossible or occurs twice");
    if (process.pgid < 0 || process.pgid > kMaxPid || process.sid < 0 || process.sid > kMaxPid)
      return wrong(name(process) + "impossible process group or session");
    const auto parent = seen.find(process.ppid);
    if (process.ppid != 0 && (parent == seen.end() || parent->second == ProcessState::kZombie))
      return wrong(name(process) + "its parent does not come before it");
    if (process.exitSignal < 0 || process.exitSignal > 64) return wrong(name(process) + "impossible exit signal");
    seen.emplace(process.pid, process.state);
    tids.insert(process.pid);
  }
  if (!seen.contains(image.root)) return wrong("the root process is missing");
  for (const Process& process : image.processes)
    if (process.state == ProcessState::kAlive) BLCR_TRY(checkAlive(image, process, tids));
  BLCR_TRY(checkInheritance(image));
  return checkKeeper(image);
}

bool areAttributes(const std::vector<Attribute>& attributes) {
  return std::all_of(attributes.begin(), attributes.end(), [](const Attribute& each) { return !each.name.empty() && !hasZero(each.name); });
}

Status checkFile(const Image& image, const OpenFile& file, const std::string& who) {
  if (hasZero(file.path)) return wrong(who + "a path with a zero byte");
  const bool isPipe = file.kind == FileKind::kPipe || file.kind == FileKind::kFifo;
  if (isPipe && !isIndex(file.object, image.pipes.size())) return wrong(who + "an unknown pipe");
  if (file.kind == FileKind::kSocket && !isIndex(file.object, image.sockets.size())) return wrong(who + "an unknown socket");
  if (file.kind == FileKind::kTerminal && (!isIndex(file.object, image.terminals.size()) || file.end < 0 || file.end > 1))
    return wrong(who + "an unknown terminal");
  if (file.kind == FileKind::kMemFd && !isIndex(file.object, image.shared.size())) return wrong(who + "an unknown segment");
  if (file.kind == FileKind::kRing && !isIndex(file.object, image.rings.size())) return wrong(who + "an unknown ring");
  for (const InotifyWatch& watch : file.watches)
    if (watch.number <= 0 || hasZero(watch.path) || !isIndexOrNone(watch.file, image.files.size()))
      return wrong(who + "an impossible watch");
  if (!areAttributes(file.attributes)) return wrong(who + "an impossible attribute");
  if (isPipe && file.end != 0 && file.end != 1) return wrong(who + "an impossible end");
  if (!isIndexOrNone(file.blob, image.blobs.size())) return wrong(who + "unknown content");
  if (file.kind == FileKind::kUnlinked && file.blob == kNone) return wrong(who + "content is missing");
  // Beyond the standard streams only pipes can be somebody else's.
  if (file.kind == FileKind::kInherited && (file.inherited < 0 || (file.inherited > 2 && !S_ISFIFO(file.mode))))
    return wrong(who + "an impossible stream");
  for (const EpollEntry& entry : file.epoll)
    if (!isIndexOrNone(entry.file, image.files.size())) return wrong(who + "watches an unknown file");
  return {};
}

bool isAddress(const std::string& name) {
  return name.empty() || (name.size() >= sizeof(sa_family_t) && name.size() <= sizeof(sockaddr_storage));
}

Status checkSocket(const Image& image, const Socket& socket, const std::string& who) {
  if (!isAddress(socket.name) || !isAddress(socket.peerName)) return wrong(who + "an impossible address");
  if (hasZero(socket.directory)) return wrong(who + "a path with a zero byte");
  if (!isIndexOrNone(socket.peer, image.sockets.size())) return wrong(who + "an unknown peer");
  const Socket* peer = socket.peer == kNone ? nullptr : &image.sockets[socket.peer];
  if (peer != nullptr && (peer->domain == AF_UNIX) != (socket.domain == AF_UNIX)) return wrong(who + "a peer of another family");
  if (peer == &socket && (socket.domain != AF_UNIX || socket.type != SOCK_DGRAM || socket.name.empty()))
    return wrong(who + "it cannot be its own peer");
  if (socket.state == SocketState::kPending && (peer == nullptr || peer->state != SocketState::kListening))
    return wrong(who + "waits for no listening socket");
  for (const uint32_t client : socket.waiting)
    if (!isIndex(client, image.sockets.size()) || image.sockets[client].state != SocketState::kPending)
      return wrong(who + "an unknown client waits for it");
  for (const SocketMessage& message : socket.queue) {
    if (!isAddress(message.sender)) return wrong(who + "a message from an impossible address");
    for (const uint32_t file : message.files)
      if (!isIndex(file, image.files.size())) return wrong(who + "a message with an unknown file");
  }
  return {};
}

Status checkTerminals(const Image& image) {
  constexpr int32_t kMaxTerminal = 1 << 20;
  constexpr size_t kModes = 44, kWindow = 8, kMost = 1 << 20;  // struct termios2, struct winsize
  for (const Terminal& terminal : image.terminals) {
    if (terminal.number < 0 || terminal.number >= kMaxTerminal) return wrong("a terminal with an impossible number");
    if (!terminal.hungUp && (terminal.modes.size() != kModes || terminal.size.size() != kWindow))
      return wrong("a terminal without its modes");
    if (terminal.input.size() > kMost || terminal.output.size() > kMost) return wrong("a terminal with too much data");
  }
  for (const Process& process : image.processes)
    if (!isIndexOrNone(process.terminal, image.terminals.size())) return wrong(name(process) + "an unknown terminal");
  return {};
}

Status checkSystemV(const Image& image) {
  constexpr size_t kMaxSemaphores = 32000, kMaxValue = 32767;  // SEMMSL, SEMVMX
  for (const SemaphoreSet& set : image.semaphores) {
    if (set.name.id < 0 || set.values.empty() || set.values.size() > kMaxSemaphores || set.users.size() != set.values.size())
      return wrong("an impossible semaphore set");
    for (const uint16_t value : set.values)
      if (value > kMaxValue) return wrong("a semaphore with an impossible value");
    for (const SemaphoreUndo& undo : set.undo)
      if (undo.number >= set.values.size() || undo.adjustment < -int(kMaxValue) - 1 || undo.adjustment > int(kMaxValue))
        return wrong("an impossible adjustment of a semaphore");
  }
  for (const MessageQueue& queue : image.queues) {
    if (queue.name.id < 0) return wrong("an impossible message queue");
    for (const IpcMessage& message : queue.messages)
      if (message.type <= 0) return wrong("a message of an impossible type");
  }
  return {};
}

/** Whether its memory has all that its sizes promise is compared with the new ring's. */
Status checkRings(const Image& image) {
  constexpr uint32_t kMaxEntries = 32768, kLayoutFlags = 1u << 10 | 1u << 11 | 1u << 16;  // IORING_MAX_ENTRIES; SQE128, CQE32, NO_SQARRAY
  const auto isSize = [](uint32_t size, uint32_t most) { return size != 0 && size <= most && (size & (size - 1)) == 0; };
  std::vector<uint32_t> descriptions(image.rings.size());
  for (const OpenFile& file : image.files)
    if (file.kind == FileKind::kRing) ++descriptions[file.object];
  for (size_t index = 0; index < image.rings.size(); ++index) {
    const Ring& ring = image.rings[index];
    if (!isSize(ring.entries, kMaxEntries) || !isSize(ring.completions, 2 * kMaxEntries) || ring.completions < ring.entries)
      return wrong("a ring of impossible size");
    if ((ring.flags & ~kLayoutFlags) != 0 || ring.count > kMaxRingCount) return wrong("a ring with impossible settings");
    if (descriptions[index] != 1) return wrong("a ring without its description");
  }
  return {};
}

Status checkObjects(const Image& image) {
  BLCR_TRY(checkSystemV(image));
  BLCR_TRY(checkTerminals(image));
  for (size_t index = 0; index < image.files.size(); ++index)
    BLCR_TRY(checkFile(image, image.files[index], "open file " + std::to_string(index) + ": "));
  BLCR_TRY(checkRings(image));
  for (const MappedFile& file : image.mapped)
    if (!isIndexOrNone(file.blob, image.blobs.size()) || hasZero(file.path)) return wrong("a mapped file without its content");
  for (const SharedSegment& segment : image.shared)
    if (segment.size > kMaxSegment || hasZero(segment.name) || hasZero(segment.path) || !areAttributes(segment.attributes) ||
        !fitsHuge(segment.size, segment.hugeShift))
      return wrong("an impossible shared segment");
  for (const Blob& blob : image.blobs)
    if (blob.size > kMaxSegment) return wrong("impossible file content");
  for (size_t index = 0; index < image.sockets.size(); ++index)
    BLCR_TRY(checkSocket(image, image.sockets[index], "socket " + std::to_string(index) + ": "));
  for (const Pipe& pipe : image.pipes)
    if (pipe.capacity > (1u << 30) || pipe.content.size() > (1u << 30)) return wrong("an impossible pipe");
  return {};
}

}  // namespace

bool isNumberOfJob(const Image& image, int32_t number) {
  return std::any_of(image.processes.begin(), image.processes.end(), [number](const Process& one) {
    const auto isTask = [number](const Task& task) { return task.tid == number; };
    return one.pid == number || one.pgid == number || one.sid == number || std::any_of(one.tasks.begin(), one.tasks.end(), isTask);
  });
}

Status validate(const Image& image) {
  BLCR_TRY(checkHost(image.host));
  BLCR_TRY(checkProcesses(image));
  return checkObjects(image);
}

}  // namespace blcr::image
