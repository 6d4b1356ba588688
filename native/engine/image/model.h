// What a context says about a job, apart from its memory pages: plain structures, filled by dump/, carried by serialise.h, consumed by
// restore/. Every structure lists its members once more in serialise.cc, in order; a change of either bumps format.h kVersion.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image/ring.h"
#include "image/system_v.h"

namespace blcr::image {

inline constexpr uint32_t kNone = 0xffffffffu;

/** The machine and the moment. Restart compares and refuses by name what it lacks. */
struct Host {
  std::string kernel;           // uname -r
  std::string machine;          // uname -m
  std::vector<uint32_t> cpuid;  // CPU feature words, see arch/x86_64/cpu.h
  uint64_t xcr0 = 0;            // XSAVE features enabled by the kernel
  uint32_t xstateSize = 0;      // NT_X86_XSTATE size of this kernel
  int64_t monotonicNs = 0;      // the job's CLOCK_MONOTONIC at the freeze
  int64_t boottimeNs = 0;       // the job's CLOCK_BOOTTIME
  int64_t realtimeNs = 0;
  std::string vdso;                    // as mapped; on a host with another one its functions are redirected
  std::string cpuBaseline;             // "x86-64-v2", …: what cpuid was reduced to; empty = all that the processor offers
  std::vector<uint32_t> xstateLayout;  // of Task::xstate: three words a component, see arch/x86_64/xstate.h
  std::string boot;                    // the kernel's boot_id
};

/** One queued signal: the raw siginfo_t (128 bytes). */
struct PendingSignal {
  std::string siginfo;
};

struct Task {
  int32_t tid = 0;
  std::string comm;
  std::string regs;    // struct user_regs_struct as restored: restarts normalised (engine facts: ERESTART); "" = see hasEnded()
  std::string xstate;  // NT_X86_XSTATE
  uint64_t sigmask = 0;
  std::vector<PendingSignal> pending;  // thread-directed
  uint64_t altstackSp = 0, altstackSize = 0;
  uint32_t altstackFlags = 0;
  uint64_t rseqAddress = 0;
  uint32_t rseqSize = 0, rseqSignature = 0;
  uint64_t robustList = 0, robustLength = 0;
  uint64_t clearChildTid = 0;
  int32_t policy = 0, priority = 0, nice = 0;
  std::string affinity;  // raw cpu_set bytes
  int32_t pdeathsig = 0;
  uint64_t timerSlackNs = 0;
  int32_t stopSignal = 0;                 // non-zero: the task was group-stopped (^Z) by this signal
  int32_t ioPriority = 0;                 // ioprio_get(2), 0 = follows the nice value
  int32_t tsc = 0;                        // PR_GET_TSC, 0 = not told
  int32_t speculation[3] = {-1, -1, -1};  // PR_GET_SPECULATION_CTRL: store bypass, indirect branch, L1D flush; < 0 = not told
  bool noNewPrivileges = false;
  uint64_t personality = 0;
  int32_t memoryPolicy = 0;       // set_mempolicy(2), 0 = the system's
  std::string memoryNodes;        // of that policy: raw node mask
  std::string ownDirectory;       // working directory of a thread that does not share its process's (CLONE_FS); "" = it does
  uint32_t ownUmask = 0;          // then
  uint32_t ownDirectoryMode = 0;  // of one that was removed
  int32_t machineCheck = 2;       // PR_MCE_KILL_GET, 2 = the system's
  uint64_t sliceNs = 0;           // sched_getattr(2), ordinary policies: a time slice of its own, 0 = the system's
};

enum class AreaKind : uint8_t { kAnonymous, kFile, kShared, kRing, kVdso, kVvar, kVvarVclock };

/** madvise and VmFlags bits worth restoring. */
enum AreaFlag : uint32_t {
  kGrowsDown = 1u << 0,
  kNoReserve = 1u << 1,
  kHugePage = 1u << 2,
  kNoHugePage = 1u << 3,
  kDontFork = 1u << 4,
  kWipeOnFork = 1u << 5,
  kDontDump = 1u << 6,
  kLocked = 1u << 7,
  kLockOnFault = 1u << 8,
  kMergeable = 1u << 9,
  kSealed = 1u << 10,
  kSequential = 1u << 11,
  kRandom = 1u << 12,
  kDroppable = 1u << 13,  // MAP_DROPPABLE: content does not travel, and the flags that it implies are not told
};

/** One VMA. Pages travel in PAGE frames; what has none is zero (anonymous) or the file's content. */
struct Area {
  uint64_t start = 0, end = 0;
  uint8_t protection = 0;  // PROT_*
  AreaKind kind = AreaKind::kAnonymous;
  bool shared = false;         // MAP_SHARED
  uint32_t flags = 0;          // AreaFlag
  uint32_t file = kNone;       // Image::mapped (kFile), shared (kShared) or rings (kRing)
  uint64_t offset = 0;         // in the file or segment; of a ring IORING_OFF_*
  bool maybeWritable = false;  // shared file mapping: opened read-write
  uint8_t hugeShift = 0;       // MAP_HUGETLB: its pages are of 1 << hugeShift bytes; 0 = ordinary ones
};

/** Of what the kernel maps into every process: the vdso and its data. */
inline bool isKernelArea(const Area& area) { return area.kind >= AreaKind::kVdso; }

/** [start, end) of addresses. */
struct AddressRange {
  uint64_t start = 0, end = 0;
};

/** mbind(2): where the memory of areas comes from. */
struct RangePolicy {
  AddressRange range;
  int32_t mode = 0;   // with its flags
  std::string nodes;  // raw node mask
};

struct AddressSpace {
  std::vector<Area> areas;
  std::vector<AddressRange> guards;  // MADV_GUARD_INSTALL
  std::vector<RangePolicy> policies;
  uint64_t startCode = 0, endCode = 0, startData = 0, endData = 0, startBrk = 0, brk = 0, startStack = 0;
  uint64_t argStart = 0, argEnd = 0, envStart = 0, envEnd = 0;
  std::string auxv;
  uint32_t exe = kNone;          // Image::mapped
  uint32_t lockFuture = 0;       // mlockall(2): MCL_FUTURE, MCL_ONFAULT
  int32_t denyWriteExecute = 0;  // PR_GET_MDWE
  bool mergeAll = false;         // PR_GET_MEMORY_MERGE
  uint32_t barriers = 0;         // membarrier(2): registrations
};

/** A file that is mapped or executed. Identified by content; device, inode and mtime never match on another node. */
struct MappedFile {
  std::string path;
  uint64_t size = 0;
  int64_t mtimeNs = 0;
  std::string identity;   // "build-id:<hex>" or "sha256:<hex>" or "size" for a writable shared mapping
  bool deleted = false;   // no name any more: content comes from blob
  uint32_t blob = kNone;  // Image::blobs, when the content is carried
};

/** An extended attribute of a file that travels itself. */
struct Attribute {
  std::string name, value;
};

/** Of a file that travels itself; kNone = as of whoever makes it. */
struct FileOwner {
  uint32_t uid = kNone, gid = kNone;
};

/** Shared anonymous memory, memfd, a POSIX or System V shared memory segment: content travels in PAGE frames with kSharedSpace. */
struct SharedSegment {
  uint64_t size = 0;
  std::string name;  // memfd name, or empty
  bool memfd = false;
  uint32_t seals = 0;
  uint32_t mode = 0;  // permissions; 0 = as made
  std::string path;   // POSIX shared memory: made again under this name; else empty
  IpcName ipc;        // System V, id < 0 = not
  std::vector<Attribute> attributes;
  FileOwner fileOwner = {};
  uint8_t hugeShift = 0;  // as Area::hugeShift, of all its areas
};

/** Byte content carried in FILE frames. */
struct Blob {
  uint64_t size = 0;
};

enum class FileKind : uint8_t {
  kRegular,   // by path
  kUnlinked,  // regular file without a name: content in blob
  kDirectory,
  kDevice,     // /dev/null, zero, full, random, urandom, tty: by path
  kInherited,  // the launcher's own stdin, stdout or stderr, or another pipe that the restarter replaces: number in `inherited`
  kPipe,       // one end of Image::pipes[object]
  kFifo,       // path, unlinked, content in Image::pipes[object]
  kEventFd,
  kTimerFd,
  kSignalFd,
  kEpoll,
  kSocket,  // Image::sockets[object]
  kMemFd,   // Image::shared[object]
  kProc,    // /proc/self/… opened by path
  kInotify,
  kPidFd,     // of process ownerPid, 0 = one that is gone: the same one for all of an `object`
  kTerminal,  // one end of Image::terminals[object]: 0 the master
  kRing,      // Image::rings[object], which has one description only
};

struct EpollEntry {
  int32_t fd = 0;         // number used at EPOLL_CTL_ADD
  uint32_t file = kNone;  // the description it refers to (may be closed or renumbered)
  uint32_t events = 0;
  uint64_t data = 0;
};

struct InotifyWatch {
  int32_t number = 0;  // watch descriptor
  uint32_t mask = 0;
  std::string path;
  uint32_t file = kNone;  // without a path: the description in Image::files whose file it is
};

/** One open file description, shared by any number of descriptors. */
struct OpenFile {
  FileKind kind = FileKind::kRegular;
  int32_t flags = 0;  // open(2) flags with status flags
  uint64_t offset = 0;
  std::string path;
  uint64_t size = 0;        // regular: length at the checkpoint
  uint32_t mode = 0;        // st_mode
  uint32_t object = kNone;  // pipes, sockets, shared
  uint32_t blob = kNone;
  int32_t inherited = -1;  // 0, 1, 2, or the number of a pipe whose other end was outside
  bool unlinked = false;   // FIFO, directory: its name is gone; file of /proc: the process is
  uint64_t counter = 0;    // eventfd count
  bool semaphore = false;  // eventfd: EFD_SEMAPHORE
  uint64_t sigmask = 0;    // signalfd
  int32_t clock = 0;       // timerfd: clockid, settime flags, value and interval as found
  uint32_t timerFlags = 0;
  int64_t valueNs = 0, intervalNs = 0;  // of an unlinked file valueNs is its modification time, 0 = not told
  uint64_t expirations = 0;
  int32_t end = 0;  // pipe: 0 read, 1 write
  std::vector<EpollEntry> epoll;
  int32_t ownerPid = 0, ownerSignal = 0, ownerType = 0;  // fcntl F_SETOWN_EX, F_SETSIG
  std::vector<std::string> locks;                        // flock / POSIX / OFD locks, serialised by the file rooms
  std::vector<InotifyWatch> watches;
  std::vector<Attribute> attributes;  // kUnlinked
  FileOwner fileOwner = {};           // kUnlinked
};

struct Pipe {
  uint32_t capacity = 0;
  std::string content;                  // in order
  bool packets = false;                 // O_DIRECT
  std::vector<uint32_t> packetLengths;  // packets: how `content` is divided
  bool unwritten = false;               // FIFO: nobody has opened it for writing since its readers did, who therefore hear of no hang-up
};

enum class SocketState : uint8_t {
  kUnconnected,  // bound or not
  kListening,
  kConnected,  // peer: the other end, or peerName (datagrams, whose receiver may be outside)
  kPending,    // a client that the listening socket `peer` has yet to accept
  kClosed,     // the other end is gone in good order
  kReset,      // the other end is gone, and the program has yet to be told so by an error
};

/** One message, or a stretch of a stream, that a socket has yet to read. */
struct SocketMessage {
  std::string data;
  std::vector<uint32_t> files;         // descriptors under way: Image::files
  std::string sender;                  // its address, "" = none (as sockaddr)
  uint32_t pid = 0, uid = 0, gid = 0;  // SCM_CREDENTIALS, pid 0 = none
};

/** Set again only where a fresh socket differs. */
struct SocketOption {
  int32_t level = 0, name = 0;
  std::string value;
};

/** Who has made a socket pair, connected or listened, as the other end is told (SO_PEERCRED, SO_PEERGROUPS). */
struct PeerCredentials {
  uint32_t pid = 0;           // 0 = nobody is told
  uint32_t uid = 0, gid = 0;  // effective
  std::vector<uint32_t> groups;
  auto operator<=>(const PeerCredentials&) const = default;
};

/** Addresses travel as the kernel's sockaddr, as getsockname and getpeername give them. */
struct Socket {
  int32_t domain = 0, type = 0, protocol = 0;
  SocketState state = SocketState::kUnconnected;
  std::string name, peerName;
  uint32_t peer = kNone;                            // Image::sockets
  std::string directory;                            // AF_UNIX, relative name: what it is relative to
  bool unlinked = false;                            // AF_UNIX: the name leads to no file, or to one of another socket
  bool inheritsName = false;                        // it was accepted: the name is that of the listening socket
  uint32_t fileMode = 0, fileUid = 0, fileGid = 0;  // AF_UNIX: of the file
  bool shutRead = false, shutWrite = false;
  bool foreignName = false;  // bound to an address that the host did not have: IP_FREEBIND was set then
  int32_t backlog = 0;
  std::vector<uint32_t> waiting;    // kListening: clients to be accepted, in order; Image::sockets
  PeerCredentials peerCredentials;  // AF_UNIX: of the other end; kListening: who listens; kPending: who has connected
  std::vector<SocketMessage> queue;
  std::vector<SocketOption> options;
};

/** A pseudo-terminal with both ends in the job, made again in its own devpts. */
struct Terminal {
  int32_t number = 0;
  std::string modes, size;  // struct termios2, struct winsize
  uint32_t fileMode = 0;
  FileOwner fileOwner = {};
  bool packets = false, locked = false;
  bool hungUp = false;                  // the master is closed: only the number counts
  bool closed = false;                  // the program's end is closed, after it was open
  int32_t session = 0, foreground = 0;  // whose controlling terminal it is, 0 = nobody's; the foreground process group
  std::vector<std::string> lines;       // to the program, canonical mode
  std::string input, output;            // to the program: an unfinished line, or everything; to the master
};

struct Descriptor {
  int32_t fd = 0;
  uint32_t file = kNone;  // Image::files
  bool closeOnExec = false;
};

struct PosixTimer {
  int32_t id = 0;
  int32_t clock = 0;
  int32_t notify = 0;  // SIGEV_*, with SIGEV_THREAD_ID
  int32_t signal = 0;
  uint64_t sigvalue = 0;
  int32_t tid = 0;
  int64_t valueNs = 0, intervalNs = 0;
  int32_t overrun = 0;
  int32_t owner = 0;  // CLOCK_THREAD_CPUTIME_ID: the thread whose time it is
};

struct IntervalTimer {
  int64_t valueUs = 0, intervalUs = 0;
};

struct SignalAction {
  uint64_t handler = 0, flags = 0, restorer = 0, mask = 0;
};

struct ResourceLimit {
  uint64_t soft = 0, hard = 0;
};

struct Credentials {
  uint32_t uid[4] = {}, gid[4] = {};  // real, effective, saved, file system
  std::vector<uint32_t> groups;
  uint64_t capInheritable = 0, capPermitted = 0, capEffective = 0, capBounding = 0, capAmbient = 0;
  uint32_t secureBits = 0;
  int32_t dumpable = 1;
};

enum class ProcessState : uint8_t { kAlive, kZombie };

struct Process {
  int32_t pid = 0, ppid = 0, pgid = 0, sid = 0;  // ppid 0 = the keeper
  ProcessState state = ProcessState::kAlive;
  int32_t exitStatus = 0;   // wait status of a zombie, or of a main thread that has ended
  int32_t exitSignal = 17;  // what the parent gets
  std::string comm;
  AddressSpace memory;
  std::vector<Descriptor> descriptors;
  std::string cwd;
  uint32_t cwdMode = 0;  // of one that was removed
  uint32_t umask = 022;
  std::vector<SignalAction> actions;   // 64
  std::vector<PendingSignal> pending;  // process-directed
  IntervalTimer timers[3];             // ITIMER_REAL, VIRTUAL, PROF
  std::vector<PosixTimer> posixTimers;
  std::vector<ResourceLimit> limits;  // 16
  Credentials credentials;
  bool subreaper = false;
  int32_t oomScoreAdjust = 0;
  int32_t thpDisabled = 0;             // PR_GET_THP_DISABLE
  uint32_t coreFilter = 0;             // coredump_filter
  std::vector<Task> tasks;             // leader first
  bool sharesFilesWithParent = false;  // CLONE_FILES across processes
  bool stopTold = false;               // stopped (^Z), and its parent has waited for that already
  uint32_t terminal = kNone;           // controlling terminal: Image::terminals; none, or the launcher's
  bool cooperates = false;             // it waits in a checkpoint callback and is told that it was restarted
  uint64_t startTime = 0;              // in clock ticks since the boot of Host::boot: with the pid, who it was
  uint32_t forkedFrom = kNone;         // Image::processes: pages may be this one's (SAME frames), which has its own before
};

/** Everything but pages and blobs. */
struct Image {
  Host host;
  int32_t root = 0;                // pid of the job's root
  int32_t keeper = 0;              // by which the processes with ppid 0 know their parent; 0: it may be any
  std::vector<Process> processes;  // parents before children
  std::vector<MappedFile> mapped;
  std::vector<SharedSegment> shared;
  std::vector<SemaphoreSet> semaphores;
  std::vector<MessageQueue> queues;
  std::vector<OpenFile> files;
  std::vector<Pipe> pipes;
  std::vector<Socket> sockets;
  std::vector<Terminal> terminals;
  std::vector<Ring> rings;
  std::vector<Blob> blobs;
  std::string inheritedPath[3];  // where the launcher's stdio pointed, "" if not a regular file
  int32_t foregroundGroup = 0;   // of the launcher's terminal, when it controls the job
};

}  // namespace blcr::image
