#include "image/serialise.h"

#include <cstring>
#include <type_traits>

#include "image/validate.h"

namespace blcr::image {
namespace {

/** Appends members to a string: integers little endian in their own width, strings and vectors behind a 32-bit count. */
class Encoder {
 public:
  template <typename... Members>
  void operator()(const Members&... members) {
    (put(members), ...);
  }
  std::string take() { return std::move(out_); }

 private:
  template <typename T>
  void put(const T& value);
  std::string out_;
};

/** The reverse; the first thing that does not fit makes all later members zero and failed() true. */
class Decoder {
 public:
  explicit Decoder(std::string_view in) : in_(in) {}
  template <typename... Members>
  void operator()(Members&... members) {
    (get(members), ...);
  }
  [[nodiscard]] bool complete() const { return !failed_ && in_.empty(); }
  [[nodiscard]] size_t left() const { return in_.size(); }

 private:
  template <typename T>
  void get(T& value);
  template <typename T>
  T integer() {
    T value{};
    if (in_.size() < sizeof value) failed_ = true;
    if (failed_) return T{};
    std::memcpy(&value, in_.data(), sizeof value);
    in_.remove_prefix(sizeof value);
    return value;
  }
  std::string_view in_;
  bool failed_ = false;
};

template <typename T>
struct IsVector : std::false_type {};
template <typename T>
struct IsVector<std::vector<T>> : std::true_type {};

constexpr uint8_t lastEnumerator(const AreaKind*) { return uint8_t(AreaKind::kVvarVclock); }
constexpr uint8_t lastEnumerator(const FileKind*) { return uint8_t(FileKind::kRing); }
constexpr uint8_t lastEnumerator(const SocketState*) { return uint8_t(SocketState::kReset); }
constexpr uint8_t lastEnumerator(const ProcessState*) { return uint8_t(ProcessState::kZombie); }

// One overload per structure: its members in order. A is Encoder (S const) or Decoder; the pointer only selects the overload.
template <typename A, typename S>
void visit(A& a, S& s, const Host*) {
  a(s.kernel, s.machine, s.cpuid, s.xcr0, s.xstateSize, s.monotonicNs, s.boottimeNs, s.realtimeNs, s.vdso, s.cpuBaseline, s.xstateLayout,
    s.boot);
}
template <typename A, typename S>
void visit(A& a, S& s, const PendingSignal*) {
  a(s.siginfo);
}
template <typename A, typename S>
void visit(A& a, S& s, const Task*) {
  a(s.tid, s.comm, s.regs, s.xstate, s.sigmask, s.pending, s.altstackSp, s.altstackSize, s.altstackFlags, s.rseqAddress, s.rseqSize,
    s.rseqSignature, s.robustList, s.robustLength, s.clearChildTid, s.policy, s.priority, s.nice, s.affinity, s.pdeathsig, s.timerSlackNs,
    s.stopSignal, s.ioPriority, s.tsc, s.speculation, s.noNewPrivileges, s.personality, s.memoryPolicy, s.memoryNodes, s.ownDirectory,
    s.ownUmask, s.ownDirectoryMode, s.machineCheck, s.sliceNs);
}
template <typename A, typename S>
void visit(A& a, S& s, const Area*) {
  a(s.start, s.end, s.protection, s.kind, s.shared, s.flags, s.file, s.offset, s.maybeWritable, s.hugeShift);
}
template <typename A, typename S>
void visit(A& a, S& s, const AddressRange*) {
  a(s.start, s.end);
}
template <typename A, typename S>
void visit(A& a, S& s, const RangePolicy*) {
  a(s.range, s.mode, s.nodes);
}
template <typename A, typename S>
void visit(A& a, S& s, const Attribute*) {
  a(s.name, s.value);
}
template <typename A, typename S>
void visit(A& a, S& s, const AddressSpace*) {
  a(s.areas, s.guards, s.policies, s.startCode, s.endCode, s.startData, s.endData, s.startBrk, s.brk, s.startStack, s.argStart, s.argEnd,
    s.envStart, s.envEnd, s.auxv, s.exe, s.lockFuture, s.denyWriteExecute, s.mergeAll, s.barriers);
}
template <typename A, typename S>
void visit(A& a, S& s, const MappedFile*) {
  a(s.path, s.size, s.mtimeNs, s.identity, s.deleted, s.blob);
}
template <typename A, typename S>
void visit(A& a, S& s, const IpcName*) {
  a(s.id, s.key, s.mode, s.uid, s.gid);
}
template <typename A, typename S>
void visit(A& a, S& s, const FileOwner*) {
  a(s.uid, s.gid);
}
template <typename A, typename S>
void visit(A& a, S& s, const SharedSegment*) {
  a(s.size, s.name, s.memfd, s.seals, s.mode, s.path, s.ipc, s.attributes, s.fileOwner, s.hugeShift);
}
template <typename A, typename S>
void visit(A& a, S& s, const SemaphoreUndo*) {
  a(s.pid, s.number, s.adjustment);
}
template <typename A, typename S>
void visit(A& a, S& s, const SemaphoreSet*) {
  a(s.name, s.values, s.undo, s.users, s.isUsed);
}
template <typename A, typename S>
void visit(A& a, S& s, const IpcMessage*) {
  a(s.type, s.text);
}
template <typename A, typename S>
void visit(A& a, S& s, const MessageQueue*) {
  a(s.name, s.capacity, s.messages);
}
template <typename A, typename S>
void visit(A& a, S& s, const Blob*) {
  a(s.size);
}
template <typename A, typename S>
void visit(A& a, S& s, const EpollEntry*) {
  a(s.fd, s.file, s.events, s.data);
}
template <typename A, typename S>
void visit(A& a, S& s, const OpenFile*) {
  a(s.kind, s.flags, s.offset, s.path, s.size, s.mode, s.object, s.blob, s.inherited, s.unlinked, s.counter, s.semaphore, s.sigmask,
    s.clock, s.timerFlags, s.valueNs, s.intervalNs, s.expirations, s.end, s.epoll, s.ownerPid, s.ownerSignal, s.ownerType, s.locks,
    s.watches, s.attributes, s.fileOwner);
}
template <typename A, typename S>
void visit(A& a, S& s, const InotifyWatch*) {
  a(s.number, s.mask, s.path, s.file);
}
template <typename A, typename S>
void visit(A& a, S& s, const Pipe*) {
  a(s.capacity, s.content, s.packets, s.packetLengths, s.unwritten);
}
template <typename A, typename S>
void visit(A& a, S& s, const SocketMessage*) {
  a(s.data, s.files, s.sender, s.pid, s.uid, s.gid);
}
template <typename A, typename S>
void visit(A& a, S& s, const SocketOption*) {
  a(s.level, s.name, s.value);
}
template <typename A, typename S>
void visit(A& a, S& s, const PeerCredentials*) {
  a(s.pid, s.uid, s.gid, s.groups);
}
template <typename A, typename S>
void visit(A& a, S& s, const Socket*) {
  a(s.domain, s.type, s.protocol, s.state, s.name, s.peerName, s.peer, s.directory, s.unlinked, s.inheritsName, s.fileMode, s.fileUid,
    s.fileGid, s.shutRead, s.shutWrite, s.foreignName, s.backlog, s.waiting, s.peerCredentials, s.queue, s.options);
}
template <typename A, typename S>
void visit(A& a, S& s, const Terminal*) {
  a(s.number, s.modes, s.size, s.fileMode, s.fileOwner, s.packets, s.locked, s.hungUp, s.closed, s.session, s.foreground, s.lines, s.input,
    s.output);
}
template <typename A, typename S>
void visit(A& a, S& s, const Ring*) {
  a(s.entries, s.completions, s.flags, s.layout, s.count, s.queues, s.calls);
}
template <typename A, typename S>
void visit(A& a, S& s, const Descriptor*) {
  a(s.fd, s.file, s.closeOnExec);
}
template <typename A, typename S>
void visit(A& a, S& s, const PosixTimer*) {
  a(s.id, s.clock, s.notify, s.signal, s.sigvalue, s.tid, s.valueNs, s.intervalNs, s.overrun, s.owner);
}
template <typename A, typename S>
void visit(A& a, S& s, const IntervalTimer*) {
  a(s.valueUs, s.intervalUs);
}
template <typename A, typename S>
void visit(A& a, S& s, const SignalAction*) {
  a(s.handler, s.flags, s.restorer, s.mask);
}
template <typename A, typename S>
void visit(A& a, S& s, const ResourceLimit*) {
  a(s.soft, s.hard);
}
template <typename A, typename S>
void visit(A& a, S& s, const Credentials*) {
  a(s.uid, s.gid, s.groups, s.capInheritable, s.capPermitted, s.capEffective, s.capBounding, s.capAmbient, s.secureBits, s.dumpable);
}
template <typename A, typename S>
void visit(A& a, S& s, const Process*) {
  a(s.pid, s.ppid, s.pgid, s.sid, s.state, s.exitStatus, s.exitSignal, s.comm, s.memory, s.descriptors, s.cwd, s.cwdMode, s.umask,
    s.actions, s.pending, s.timers, s.posixTimers, s.limits, s.credentials, s.subreaper, s.oomScoreAdjust, s.thpDisabled, s.coreFilter,
    s.tasks, s.sharesFilesWithParent, s.stopTold, s.terminal, s.cooperates, s.startTime, s.forkedFrom);
}
template <typename A, typename S>
void visit(A& a, S& s, const Image*) {
  a(s.host, s.root, s.keeper, s.processes, s.mapped, s.shared, s.semaphores, s.queues, s.files, s.pipes, s.sockets, s.terminals, s.rings,
    s.blobs, s.inheritedPath, s.foregroundGroup);
}

template <typename T>
void Encoder::put(const T& value) {
  if constexpr (std::is_array_v<T>) {
    for (const auto& element : value) put(element);
  } else if constexpr (std::is_same_v<T, std::string> || IsVector<T>::value) {
    put(uint32_t(value.size()));
    if constexpr (std::is_same_v<T, std::string>)
      out_.append(value);
    else
      for (const auto& element : value) put(element);
  } else if constexpr (std::is_class_v<T>) {
    visit(*this, value, static_cast<const T*>(nullptr));
  } else {
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
}

template <typename T>
void Decoder::get(T& value) {
  if constexpr (std::is_array_v<T>) {
    for (auto& element : value) get(element);
  } else if constexpr (std::is_same_v<T, std::string>) {
    const uint32_t length = integer<uint32_t>();
    if (length > in_.size()) failed_ = true;
    if (failed_) return;
    value.assign(in_.substr(0, length));
    in_.remove_prefix(length);
  } else if constexpr (IsVector<T>::value) {
    // Grown element by element: what is allocated stays in proportion to the bytes that are really there.
    for (uint32_t count = integer<uint32_t>(); count != 0 && !failed_; --count) get(value.emplace_back());
  } else if constexpr (std::is_class_v<T>) {
    visit(*this, value, static_cast<const T*>(nullptr));
  } else if constexpr (std::is_same_v<T, bool>) {
    const uint8_t byte = integer<uint8_t>();
    if (byte > 1) failed_ = true;
    value = byte == 1;
  } else if constexpr (std::is_enum_v<T>) {
    const auto number = integer<std::underlying_type_t<T>>();
    if (number > lastEnumerator(static_cast<const T*>(nullptr))) failed_ = true;
    value = failed_ ? T{} : static_cast<T>(number);
  } else {
    value = integer<T>();
  }
}

}  // namespace

std::string serialise(const Image& image) {
  Encoder encoder;
  encoder(image);
  return encoder.take();
}

Result<Image> deserialise(std::string_view bytes) {
  Decoder decoder(bytes);
  Image image;
  decoder(image);
  if (!decoder.complete())
    return Error{EINVAL,
                 "metadata is malformed, " + std::to_string(decoder.left()) + " of " + std::to_string(bytes.size()) + " bytes left"};
  BLCR_TRY(validate(image));
  return image;
}

}  // namespace blcr::image
