#include "restore/files/sources.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/io.h"
#include "restore/files/attributes.h"
#include "restore/files/file_owner.h"
#include "restore/files/objects.h"
#include "restore/files/removed_directories.h"
#include "restore/files/rings.h"
#include "restore/files/system_v.h"
#include "restore/files/terminals.h"
#include "restore/relocate.h"
#include "restore/tasks/dead_processes.h"

namespace blcr {
namespace {

using image::FileKind;
using image::OpenFile;

// Acted once, when the job opened the file. O_ASYNC at open would be noted and not done: asyncAgain() of descriptors.cc.
constexpr int kOpenTimeFlags = O_CREAT | O_EXCL | O_TRUNC | O_ASYNC;

/** O_TMPFILE is a flag of its own together with O_DIRECTORY. */
int reopenFlags(const OpenFile& file) {
  const int flags = file.flags & ~kOpenTimeFlags;
  return (flags & O_TMPFILE) == O_TMPFILE ? flags & ~O_TMPFILE : flags;
}

class Opener {
 public:
  Opener(const image::Image& image, const RestoreRequest& request, Log& log) : image_(image), request_(request), log_(log) {
    for (const image::Process& process : image.processes)
      for (const image::Descriptor& descriptor : process.descriptors) reserved_.insert(descriptor.fd);
    for (const OpenFile& file : image.files)
      for (const image::EpollEntry& entry : file.epoll) reserved_.insert(entry.fd);
  }

  Result<Sources> all() {
    for (size_t index = 0; index < image_.blobs.size(); ++index) BLCR_TRY(openBlob(uint32_t(index)));
    for (const image::SharedSegment& segment : image_.shared) BLCR_TRY(openSegment(segment));
    BLCR_TRY(makeSystemV(image_, log_));
    BLCR_TRY(mappedFiles());
    for (const image::Pipe& pipe : image_.pipes) BLCR_TRY(openPipe(pipe));
    auto sockets = makeSockets(image_, [this](UniqueFd fd) { return place(std::move(fd)); }, log_);
    if (!sockets) return sockets.error();
    sources_.sockets = *std::move(sockets);
    BLCR_TRY(openTerminals());
    BLCR_TRY(removed_.make(image_, request_));
    sources_.rings.resize(image_.rings.size(), -1);
    for (const OpenFile& file : image_.files) BLCR_TRY(openFile(file));
    BLCR_TRY(lockTerminals(image_, terminals_));
    for (const image::Process& process : image_.processes) BLCR_TRY(openDirectories(process));
    return std::move(sources_);
  }

 private:
  /** Moves a descriptor to a number that no process of the job uses. */
  Result<int> place(UniqueFd fd) {
    while (reserved_.contains(next_) || ::fcntl(next_, F_GETFD) >= 0) ++next_;
    const int at = ::dup3(fd.get(), next_, O_CLOEXEC);
    if (at < 0) return systemError("descriptor " + std::to_string(next_));
    sources_.owned.emplace_back(at);
    return at;
  }

  Status add(std::vector<int>& list, Result<UniqueFd> fd) {
    if (!fd) return fd.error();
    const auto at = place(*std::move(fd));
    if (!at.ok()) return at.error();
    list.push_back(at.value());
    return {};
  }

  /** A mapped file becomes memory, which may be executed everywhere; an unlinked one lives where it was: the same file system has room and
   * the same properties. */
  Status openBlob(uint32_t blob) {
    const uint64_t size = image_.blobs[blob].size;
    for (const image::MappedFile& file : image_.mapped)
      if (file.blob == blob) return add(sources_.blobs, makeCarriedFile(size, file.path));
    for (const OpenFile& file : image_.files) {
      if (file.blob != blob) continue;
      const size_t slash = file.path.starts_with('/') ? file.path.rfind('/') : std::string::npos;
      return add(sources_.blobs, makeUnnamedFile(size, slash == std::string::npos ? "/tmp" : pathOf(file.path.substr(0, slash + 1))));
    }
    sources_.blobs.push_back(-1);
    return {};
  }

  [[nodiscard]] std::string pathOf(const std::string& path) const { return relocated(request_.relocate, path); }

  static Result<UniqueFd> openPath(const std::string& path, int flags) {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY));
    if (!fd) return systemError(path);
    return fd;
  }

  Status mappedFiles() {
    std::set<uint32_t> writable;
    for (const image::Process& process : image_.processes)
      for (const image::Area& area : process.memory.areas)
        if (area.kind == image::AreaKind::kFile && area.shared && area.maybeWritable) writable.insert(area.file);
    for (uint32_t index = 0; index < image_.mapped.size(); ++index) {
      const image::MappedFile& file = image_.mapped[index];
      const std::string path = file.blob != image::kNone ? descriptorPath(sources_.blobs[file.blob]) : pathOf(file.path);
      BLCR_TRY(add(sources_.mapped, openPath(path, O_RDONLY)));
      if (!writable.contains(index)) {
        sources_.mappedWritable.push_back(-1);
        continue;
      }
      BLCR_TRY(add(sources_.mappedWritable, openPath(path, O_RDWR)));
    }
    return {};
  }

  Status openSegment(const image::SharedSegment& segment) {
    if (segment.ipc.id >= 0) {
      auto attached = makeAttached(segment, log_);
      if (!attached) return attached.error();
      sources_.attached.emplace(uint32_t(sources_.segments.size()), *std::move(attached));
      sources_.segments.push_back(-1);
      sources_.segmentsReadable.push_back(-1);
      sources_.temporary.add({});
      return {};
    }
    auto made = makeSegment(segment, log_);
    if (!made) return made.error();
    setAttributes(made->fd.get(), segment.attributes, false, segment.name, log_);
    sources_.temporary.add(std::move(made->path));
    const std::string path = descriptorPath(made->fd.get());
    auto readable = openPath(path, O_RDONLY);
    BLCR_TRY(add(sources_.segments, std::move(made->fd)));
    return add(sources_.segmentsReadable, std::move(readable));
  }

  Status openTerminals() {
    auto made = makeTerminals(image_, log_);
    if (!made) return made.error();
    terminals_ = *std::move(made);
    for (UniqueFd& slave : terminals_.slaves) BLCR_TRY(add(sources_.terminals, std::move(slave)));
    return {};
  }

  /** There is one description of a master; a program's end can be opened many times. */
  Result<UniqueFd> openTerminal(const OpenFile& file, int flags) {
    if (file.end == 1) return openPath(file.path, flags);
    UniqueFd master(::fcntl(terminals_.masters[file.object].get(), F_DUPFD_CLOEXEC, 3));
    if (!master) return systemError("a terminal");
    BLCR_TRY(setStatus(master.get(), file));
    return master;
  }

  Status openPipe(const image::Pipe& pipe) {
    auto ends = makePipe(pipe);
    if (!ends) return ends.error();
    for (UniqueFd& end : *ends) {
      const auto at = place(std::move(end));
      if (!at.ok()) return at.error();
      pipeEnds_.push_back(at.value());
    }
    return {};
  }

  Status openFile(const OpenFile& file) {
    if (isOpenedInside(file)) return add(sources_.files, openPath("/dev/null", O_PATH));
    if (file.kind == FileKind::kSocket) {
      const int socket = sources_.sockets.own[file.object];
      BLCR_TRY(giveToOwner(socket, file.fileOwner, "a socket", log_));
      sources_.files.push_back(socket);
      return setStatus(socket, file);
    }
    if (const int made = ownDescription(file); made >= 0) {
      sources_.files.push_back(made);
      BLCR_TRY(setStatus(made, file, file.kind == FileKind::kMemFd ? O_APPEND : 0));
      return position(made, file);
    }
    auto fd = make(file);
    if (!fd) return fd.error();
    BLCR_TRY(position(fd->get(), file));
    BLCR_TRY(add(sources_.files, std::move(fd)));
    if (file.kind == FileKind::kRing) sources_.rings[file.object] = sources_.files.back();
    return {};
  }

  /**
   * What memfd_create and pipe gave the program differs from what opening it again gives: the one does not keep the memory from being
   * executed, the other is not marked O_LARGEFILE. The first description that can have been theirs is; -1 = another one.
   */
  int ownDescription(const OpenFile& file) {
    constexpr int kLargeFile = 0100000;  // the macro is 0 here. Source: asm-generic/fcntl.h
    const int mode = file.flags & O_ACCMODE;
    if (file.kind == FileKind::kMemFd && mode == O_RDWR && (file.flags & O_PATH) == 0 && image_.shared[file.object].path.empty())
      return taken_.insert(sources_.segments[file.object]).second ? sources_.segments[file.object] : -1;
    if (file.kind != FileKind::kPipe || mode != (file.end == 0 ? O_RDONLY : O_WRONLY) || (file.flags & kLargeFile) != 0) return -1;
    const int end = pipeEnds_[file.object * 2 + size_t(file.end)];
    return taken_.insert(end).second ? end : -1;
  }

  Result<UniqueFd> make(const OpenFile& file) {
    const int flags = reopenFlags(file);
    switch (file.kind) {
      case FileKind::kDirectory:
        if (file.unlinked) return openPath(removed_.pathOf(file.path), flags & ~O_NOFOLLOW);
        return openPath(pathOf(file.path), flags);
      case FileKind::kRegular:
      case FileKind::kDevice:
        return openPath(pathOf(file.path), flags);
      case FileKind::kUnlinked:
        return openPath(descriptorPath(sources_.blobs[file.blob]), flags & ~O_NOFOLLOW);
      case FileKind::kMemFd:
        return openPath(descriptorPath(sources_.segments[file.object]), flags & ~O_NOFOLLOW);
      case FileKind::kPipe:
        return openPipeEnd(file, flags);
      case FileKind::kFifo:
        return openFifo(file, flags);
      case FileKind::kInherited:
        return openInherited(file);
      case FileKind::kEventFd:
        return makeEventFd(file);
      case FileKind::kTimerFd:
        return makeTimerFd(file);
      case FileKind::kSignalFd:
        return makeSignalFd(file);
      case FileKind::kEpoll:
        return makeEpoll();
      case FileKind::kInotify:
        return makeInotify(file);
      case FileKind::kPidFd:
        return dead_.open(file);
      case FileKind::kProc:
        return openProcOfDead(file, flags);
      case FileKind::kTerminal:
        return openTerminal(file, flags);
      case FileKind::kRing:
        return openRing(file);
      default:
        return Error{ENOTSUP, "an open file of kind " + std::to_string(int(file.kind)) + " (" + file.path + ") cannot be rebuilt"};
    }
  }

  Result<UniqueFd> openRing(const OpenFile& file) {
    auto fd = restoreRing(image_.rings[file.object]);
    if (fd) BLCR_TRY(setStatus(fd->get(), file));
    return fd;
  }

  /** O_DIRECT, which keeps packets apart, is taken by fcntl but not by open. */
  Result<UniqueFd> openPipeEnd(const OpenFile& file, int flags) {
    auto fd = openPath(descriptorPath(pipeEnds_[file.object * 2 + size_t(file.end)]), flags & ~O_DIRECT);
    if (fd && (flags & O_DIRECT) != 0) BLCR_TRY(setStatus(fd->get(), file));
    return fd;
  }

  /** As BLCR: what replaces a pipe is the restarter's descriptor of the same number, else standard input or output. */
  Result<UniqueFd> openInherited(const OpenFile& file) {
    const int number = file.inherited;
    if (number < 3) return duplicate(request_.stdioFds[number], "standard stream " + std::to_string(number));
    const std::string what = "what takes the place of descriptor " + std::to_string(number) + ", a pipe to the outside";
    const int mode = file.flags & O_ACCMODE;
    const auto given = request_.pipes.find(number);
    if (given == request_.pipes.end() && mode == O_RDWR) return Error{EBADF, what + ": there is nothing"};
    const int stream = request_.stdioFds[mode == O_WRONLY ? 1 : 0];
    auto fd = duplicate(given != request_.pipes.end() ? given->second : stream, what);
    if (!fd) return fd;
    const int own = ::fcntl(fd->get(), F_GETFL) & O_ACCMODE;
    if (own != O_RDWR && own != mode) return Error{EBADF, what + ": it is open for the other direction"};
    if (given == request_.pipes.end()) log_.line(what + ": standard " + (mode == O_WRONLY ? "output" : "input"));
    return fd;
  }

  static Result<UniqueFd> duplicate(int fd, const std::string& what) {
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!copy) return systemError(what);
    return copy;
  }

  [[nodiscard]] FifoNames namesOf(uint32_t pipe) const {
    FifoNames found;
    found.unwritten = image_.pipes[pipe].unwritten;
    for (const OpenFile& file : image_.files) {
      if (file.kind != FileKind::kFifo || file.object != pipe) continue;
      const std::string path = pathOf(file.path);
      found.mode = file.mode;
      if (file.unlinked) found.lost = path;
      const bool known = std::find(found.names.begin(), found.names.end(), path) != found.names.end();
      if (!file.unlinked && !known) found.names.push_back(path);
    }
    return found;
  }

  /** With one end held open already, opening the other does not wait; the job's ends get their own flags afterwards. */
  Result<UniqueFd> openFifo(const OpenFile& file, int flags) {
    const auto [entry, fresh] = sources_.fifoHolders.try_emplace(file.object, -1);
    if (fresh) {
      auto holder = sources_.fifos.hold(file.object, namesOf(file.object));
      if (!holder) return holder.error();
      const auto at = place(*std::move(holder));
      if (!at.ok()) return at.error();
      entry->second = at.value();
    }
    const int own = (flags & ~(O_DIRECT | O_NOFOLLOW)) | O_NONBLOCK;
    Result<UniqueFd> fd = Error{ENOENT, file.path};
    if (!file.unlinked) fd = openPath(pathOf(file.path), own);
    if (!fd && fd.error().code == ENOENT) fd = openPath(descriptorPath(entry->second), own);
    if (fd) BLCR_TRY(setStatus(fd->get(), file));
    return fd;
  }

  /** All but `later`: O_APPEND of what content is still to be written to. */
  static Status setStatus(int fd, const OpenFile& file, int later = 0) {
    constexpr int kSettable = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;
    if (::fcntl(fd, F_SETFL, file.flags & kSettable & ~later) != 0) return systemError("flags of " + file.path);
    return {};
  }

  static Status position(int fd, const OpenFile& file) {
    const bool seekable = file.kind == FileKind::kRegular || file.kind == FileKind::kUnlinked || file.kind == FileKind::kDirectory ||
                          file.kind == FileKind::kMemFd || file.kind == FileKind::kDevice;
    if (!seekable || file.offset == 0 || (file.flags & O_PATH) != 0) return {};
    // ext4 does not find back to the first entry from a position that was set before anything was read.
    char entries[1024];
    if (file.kind == FileKind::kDirectory) static_cast<void>(::syscall(SYS_getdents64, fd, entries, sizeof entries));
    // Devices without a position (a terminal) give ESPIPE; a directory of another file system may know no such position.
    if (::lseek(fd, off_t(file.offset), SEEK_SET) < 0 && file.kind != FileKind::kDevice) return systemError("position in " + file.path);
    return {};
  }

  Status openDirectories(const image::Process& process) {
    if (process.state != image::ProcessState::kAlive) {
      sources_.directories.push_back(-1);
      return {};
    }
    BLCR_TRY(add(sources_.directories, openDirectory(process, process.cwd)));
    for (const image::Task& task : process.tasks) {
      if (task.ownDirectory.empty()) continue;
      std::vector<int> own;
      BLCR_TRY(add(own, openDirectory(process, task.ownDirectory)));
      sources_.ownDirectories.emplace(task.tid, own.front());
    }
    return {};
  }

  Result<UniqueFd> openDirectory(const image::Process& process, const std::string& path) {
    const std::string removed = removed_.pathOf(path);
    auto fd = openPath(removed.empty() ? pathOf(path) : removed, O_PATH | O_DIRECTORY);
    if (!fd) return Error{fd.error().code, "working directory of process " + std::to_string(process.pid) + ": " + fd.error().detail};
    return fd;
  }

  const image::Image& image_;
  const RestoreRequest& request_;
  Log& log_;
  Sources sources_;
  std::set<int> reserved_;
  std::set<int> taken_;  // descriptors of ownDescription()
  DeadProcesses dead_;
  RemovedDirectories removed_;
  TerminalSet terminals_;      // masters
  std::vector<int> pipeEnds_;  // two each
  int next_ = 3;
};

}  // namespace

bool isOpenedInside(const image::OpenFile& file) {
  return (file.kind == FileKind::kProc && !file.unlinked) || (file.kind == FileKind::kPidFd && file.ownerPid != 0);
}

TemporaryNames::~TemporaryNames() {
  for (const std::string& path : paths_)
    if (!path.empty()) ::unlink(path.c_str());
}

Status TemporaryNames::commit(size_t index, const std::string& path) {
  if (paths_[index].empty()) return {};
  if (::rename(paths_[index].c_str(), path.c_str()) != 0) return systemError(path);
  paths_[index].clear();
  return {};
}

Result<Sources> openSources(const image::Image& image, const RestoreRequest& request, Log& log) {
  return Opener(image, request, log).all();
}

}  // namespace blcr
