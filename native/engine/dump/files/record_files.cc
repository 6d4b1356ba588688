#include "dump/files/record_files.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/codes.h"
#include "base/io.h"
#include "dump/files/working_directory.h"
#include "dump/memory/ring_views.h"
#include "dump/tasks/sharing.h"
#include "proc/parse.h"

namespace blcr {
namespace {

/** The launcher's own stdin, stdout, stderr as this process holds them. */
struct Stdio {
  int fd = -1;
  struct stat info{};
  bool terminal = false;
};

std::array<Stdio, 3> lookAtStdio(const DumpRequest& request) {
  std::array<Stdio, 3> stdio;
  for (size_t i = 0; i < 3; ++i) {
    if (request.stdioFds[i] < 0 || ::fstat(request.stdioFds[i], &stdio[i].info) != 0) continue;
    stdio[i].fd = request.stdioFds[i];
    stdio[i].terminal = S_ISCHR(stdio[i].info.st_mode) && ::isatty(stdio[i].fd) != 0;
  }
  return stdio;
}

/** True for the null device and its like, which every machine has: recorded by path even when the launcher's stdio is the same. */
bool isPortableDevice(const struct stat& info) {
  if (!S_ISCHR(info.st_mode)) return false;
  const unsigned major = major(info.st_rdev), minor = minor(info.st_rdev);
  return (major == 1 && (minor == 3 || minor == 5 || minor == 7 || minor == 8 || minor == 9)) || (major == 5 && minor == 0);
}

/**
 * Which stream of the launcher a description is, -1 = none. A pipe, FIFO, socket or terminal opened a second time (/dev/stdout) leads to
 * the same place; a file does not, its offset is its own.
 */
Result<int> inheritedStream(const std::array<Stdio, 3>& stdio, const FoundDescriptor& found) {
  int reopened = -1;
  for (int i = 0; i < 3; ++i) {
    const Stdio& stream = stdio[size_t(i)];
    const bool sameObject = stream.fd >= 0 && stream.info.st_ino == found.info.st_ino && stream.info.st_dev == found.info.st_dev;
    if (!sameObject) continue;
    FoundDescriptor own;
    own.pid = own.task = ::getpid();
    own.fd = stream.fd;
    const auto same = isSameDescription(found, own);
    if (!same) return same.error();
    if (same.value()) {
      // 1 and 2 are often one description: the number that the program itself uses is the better answer.
      if (found.fd == i || found.fd > 2) return i;
      reopened = i;
      continue;
    }
    const int mode = ::fcntl(stream.fd, F_GETFL) & O_ACCMODE;
    const bool direction = mode == O_RDWR || mode == (found.details.flags & O_ACCMODE);
    if ((S_ISFIFO(found.info.st_mode) && direction) || stream.terminal) reopened = i;
  }
  return reopened;
}

/** The file or pipe that this very context is written to, open in the job: its requester belongs to it. */
bool isDestination(const FileContext& context, const FoundDescriptor& found) {
  struct stat output{};
  if ((found.details.flags & O_ACCMODE) == O_RDONLY || ::fstat(context.request.outputFd, &output) != 0) return false;
  const bool kind = S_ISREG(output.st_mode) || S_ISFIFO(output.st_mode);
  return kind && output.st_dev == found.info.st_dev && output.st_ino == found.info.st_ino;
}

/** A standard stream that somebody else has opened for the job: a file of another user that its own user may not open. */
bool isGiven(const FoundDescriptor& found) {
  if (found.fd > 2 || !S_ISREG(found.info.st_mode) || found.info.st_nlink == 0 || found.info.st_uid == ::geteuid()) return false;
  const int mode = found.details.flags & O_ACCMODE;
  const int wanted = (mode != O_WRONLY ? R_OK : 0) | (mode != O_RDONLY ? W_OK : 0);
  return ::faccessat(AT_FDCWD, found.link.c_str(), wanted, AT_EACCESS) != 0 && errno == EACCES;
}

Status recordGiven(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  file.kind = image::FileKind::kInherited;
  file.inherited = found.fd;
  file.size = uint64_t(found.info.st_size);
  context.recording.image.inheritedPath[found.fd] = found.link;
  return {};
}

Status recordDescription(FileContext& context, const std::array<Stdio, 3>& stdio, const FoundDescriptor& found, image::OpenFile& file) {
  file.flags = found.details.flags & ~O_CLOEXEC;
  file.offset = found.details.position;
  file.mode = found.info.st_mode;
  file.path = found.link;
  const bool terminal = isTerminal(context, found);
  if (!isPortableDevice(found.info)) {
    const auto stream = inheritedStream(stdio, found);
    if (!stream) return stream.error();
    file.inherited = stream.value();
    if (file.inherited >= 0) {
      file.kind = image::FileKind::kInherited;
      file.size = S_ISREG(found.info.st_mode) ? uint64_t(found.info.st_size) : 0;
      return {};
    }
  }
  if (terminal) return recordTerminal(context, found, file);
  if (isDestination(context, found)) {
    // A restart would roll it back to what it held in the middle of this checkpoint, and so destroy the context that it is made from.
    file.kind = image::FileKind::kDevice;
    file.path = "/dev/null";
    file.offset = 0;
    file.mode = S_IFCHR | 0666;
    file.locks.clear();
    return {};
  }
  if (isGiven(found)) return recordGiven(context, found, file);
  if (found.link.starts_with("anon_inode:")) return recordAnonymousInode(context, found, file);
  if ((found.details.flags & O_PATH) != 0) return recordPathOnly(context, found, file);
  switch (found.info.st_mode & S_IFMT) {
    case S_IFREG:
      return recordRegular(context, found, file);
    case S_IFDIR:
      return recordDirectory(context, found, file);
    case S_IFIFO:
      return recordPipe(context, found, file);
    case S_IFSOCK:
      return recordSocket(context, found, file);
    case S_IFCHR:
      file.kind = image::FileKind::kDevice;
      if (!isPortableDevice(found.info)) return refuseFile(found, "a device");
      return found.info.st_nlink == 0 ? refuseFile(found, "a device file whose name was removed") : Status();
    default:
      return refuseFile(found, "this kind of file is not supported");
  }
}

/** Who is sent SIGIO or SIGURG, or will be once the program asks for signals. */
Status recordOwner(const FoundDescriptor& found, image::OpenFile& file) {
  if (file.kind == image::FileKind::kPidFd) return {};                                              // its process stands there
  if (file.kind == image::FileKind::kInherited && (found.details.flags & O_ASYNC) == 0) return {};  // the launcher's own
  const auto own = borrowDescriptor(found);
  f_owner_ex owner{};
  if (!own || ::fcntl(own.value().get(), F_GETOWN_EX, &owner) != 0) return {};
  // A directory has one for nothing else; which changes are told shows nowhere.
  if (file.kind == image::FileKind::kDirectory && owner.pid != 0)
    return refuseFile(found, "changes in this directory are told by signals (F_NOTIFY), which is not supported; inotify is");
  file.ownerPid = owner.pid;
  file.ownerType = int32_t(owner.type);
  file.ownerSignal = ::fcntl(own.value().get(), F_GETSIG);
  return {};
}

/** By one that has ended, sharing its descriptors, or by a keeper, where the file system makes such a lock of a flock. */
bool isStrangersLock(const FileContext& context, std::string_view lock) {
  if (takeField(lock) != "POSIX") return false;
  takeField(lock);  // mode
  skipBlanks(lock);
  const auto owner = takeNumber(lock, 10);
  return !owner || !context.members.contains(pid_t(*owner));
}

/** Its owner takes it again, through its own descriptor, which the signal of a break tells. */
Status checkLease(const FileContext& context, const FoundDescriptor& found, const image::OpenFile& file, std::string_view lease) {
  if (takeField(lease) != "LEASE") return Error{kErrorTemporary, found.name() + ": a lease on it is being broken"};
  takeField(lease);  // mode
  skipBlanks(lease);
  const auto owner = takeNumber(lease, 10);
  const auto holds = [&](const FoundDescriptor& other) {
    return other.description == found.description && owner && other.pid == pid_t(*owner);
  };
  if (file.kind == image::FileKind::kRegular && std::any_of(context.found.begin(), context.found.end(), holds)) return {};
  return refuseFile(found, "a lease on it cannot be taken again");
}

/** A POSIX lock is shown only to the process that holds it, others to all that share the description. */
Status recordLocks(const FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  for (const std::string& lock : found.details.locks) {
    if (lock.starts_with("DELEG")) return refuseFile(found, "a delegation of it cannot be taken again");
    if (lock.starts_with("LEASE") || lock.starts_with("BREAK")) BLCR_TRY(checkLease(context, found, file, lock));
    if (file.kind == image::FileKind::kInherited || std::find(file.locks.begin(), file.locks.end(), lock) != file.locks.end()) continue;
    if (isStrangersLock(context, lock)) return refuseFile(found, "a lock on it was taken by a process that is not part of the job");
    file.locks.push_back(lock);
  }
  return {};
}

/** Groups of processes that share something of theirs (clone without fork's copying); alone ones are groups of one. */
std::vector<std::vector<const FrozenProcess*>> sharers(const std::deque<FrozenProcess>& processes, const Sharing& sharing,
                                                       Sharing::Kind kind) {
  const auto compare = [&](const FrozenProcess* a, const FrozenProcess* b) { return sharing.compare(kind, a->speaker(), b->speaker()); };
  std::vector<const FrozenProcess*> alive;
  for (const FrozenProcess& process : processes)
    if (!process.zombie) alive.push_back(&process);
  std::sort(alive.begin(), alive.end(), [&](const auto* a, const auto* b) { return a != b && compare(a, b) == 1; });
  std::vector<std::vector<const FrozenProcess*>> groups;
  for (const FrozenProcess* process : alive) {
    if (groups.empty() || compare(groups.back().back(), process) != 0) groups.emplace_back();
    groups.back().push_back(process);
  }
  return groups;
}

Error refuseSharing(const std::vector<const FrozenProcess*>& group, const char* what) {
  return Error{kErrorNoSupport,
               "processes " + std::to_string(group[0]->pid) + " and " + std::to_string(group[1]->pid) + " share one " + what};
}

/** A descriptor table is shared again by children that their parent makes so; one of a group is the parent or ancestor of the others then.
 */
Status recordSharing(const std::deque<FrozenProcess>& processes, const Sharing& sharing, image::Image& image) {
  for (const FrozenProcess& process : processes)
    for (const FrozenTask& task : process.tasks)
      if (sharing.compare(Sharing::kFiles, process.speaker(), task.tracee.tid()) > 0)
        return Error{kErrorNoSupport, taskName(process.pid, task.tracee.tid()) + " has its own descriptor table"};
  for (const auto& group : sharers(processes, sharing, Sharing::kFiles)) {
    size_t children = 0;
    for (const FrozenProcess* child : group) {
      const bool shares = std::any_of(group.begin(), group.end(), [child](const auto* other) { return other->pid == child->stat.ppid; });
      const auto isIt = [child](const image::Process& process) { return process.pid == child->pid; };
      if (!shares) continue;
      ++children;
      std::find_if(image.processes.begin(), image.processes.end(), isIt)->sharesFilesWithParent = true;
    }
    if (children + 1 != group.size()) return refuseSharing(group, "descriptor table");
  }
  for (const auto& group : sharers(processes, sharing, Sharing::kDirectory))
    if (group.size() > 1) return refuseSharing(group, "working directory");
  for (const auto& group : sharers(processes, sharing, Sharing::kMemory))
    if (group.size() > 1) return refuseSharing(group, "memory");
  return {};
}

}  // namespace

Error refuseFile(const FoundDescriptor& found, const std::string& why) { return Error{kErrorNoSupport, found.name() + ": " + why}; }

Status recordFiles(std::deque<FrozenProcess>& processes, const DumpRequest& request, Recording& recording) {
  const auto sharing = Sharing::find(processes);
  if (!sharing) return sharing.error();
  BLCR_TRY(recordSharing(processes, sharing.value(), recording.image));
  std::optional<Lending> lending;
  if (!mayCompare() || !mayBorrow() || !mayBorrowOfThreads(processes)) BLCR_TRY(lending.emplace().open());
  std::vector<FoundDescriptor> found;
  DescriptorFinder finder(found, lending ? &*lending : nullptr);
  for (FrozenProcess& process : processes) {
    if (!process.zombie) BLCR_TRY(finder.add(process));
  }
  auto sockets = lookAtSockets(request, found);
  if (!sockets) return sockets.error();
  auto count = groupDescriptions(found);
  if (!count) return count.error();
  FileContext context{processes, request, recording, found, {}, *sockets, {}, {}, {}};
  for (const FrozenProcess& process : processes) context.members.insert(process.pid);
  BLCR_TRY(lookAtTerminals(context, processes));
  const std::array<Stdio, 3> stdio = lookAtStdio(request);
  for (size_t i = 0; i < 3; ++i) {
    const auto path = readLink(descriptorPath(stdio[i].fd));
    if (path && stdio[i].fd >= 0 && S_ISREG(stdio[i].info.st_mode)) recording.image.inheritedPath[i] = path.value();
  }
  std::vector<image::OpenFile>& files = recording.image.files;
  files.resize(*count);
  std::vector<bool> done(*count);
  for (const FoundDescriptor& entry : found) {
    if (done[entry.description]) continue;
    done[entry.description] = true;
    BLCR_TRY(recordDescription(context, stdio, entry, files[entry.description]));
    BLCR_TRY(recordOwner(entry, files[entry.description]));
  }
  for (const FoundDescriptor& entry : found) BLCR_TRY(recordLocks(context, entry, files[entry.description]));
  for (const FoundDescriptor& entry : found) {
    image::OpenFile& file = files[entry.description];
    if (file.kind == image::FileKind::kEpoll && file.epoll.empty()) BLCR_TRY(recordEpollTargets(context, entry, file));
  }
  BLCR_TRY(checkRingViews(recording.image));
  BLCR_TRY(connectSockets(context));
  BLCR_TRY(recordWorkingDirectories(sharing.value(), recording.image));
  std::map<pid_t, image::Process*> byNumber;
  for (image::Process& process : recording.image.processes)
    if (process.state == image::ProcessState::kAlive) byNumber[process.pid] = &process;
  for (const FoundDescriptor& entry : found) {
    const auto owner = byNumber.find(entry.pid);  // none has a descriptor under way in a socket
    if (owner == byNumber.end()) continue;
    owner->second->descriptors.push_back({entry.fd, entry.description, (entry.details.flags & O_CLOEXEC) != 0});
  }
  return {};
}

}  // namespace blcr
