#include "restore/files/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "base/features.h"
#include "base/io.h"
#include "proc/parse.h"
#include "restore/tasks/call_all.h"

namespace blcr {
namespace {

using image::Descriptor;

Building* firstOwner(Job& job, uint32_t file) {
  for (Building& building : job.processes)
    for (const Descriptor& descriptor : building.process->descriptors)
      if (descriptor.file == file && building.isAlive()) return &building;
  return nullptr;
}

/** A description under way in a socket belongs to nobody: any process will do. */
Building* ownerOf(Job& job, uint32_t file) {
  Building* owner = firstOwner(job, file);
  for (size_t index = 0; owner == nullptr && index < job.processes.size(); ++index)
    if (job.processes[index].isAlive()) owner = &job.processes[index];
  return owner;
}

/** An entry is a pair of descriptor number and description: the number is occupied just for the addition. */
Status addEntry(Stub& stub, int epoll, const image::EpollEntry& entry, int source) {
  const std::string what = "epoll entry of descriptor " + std::to_string(entry.fd);
  auto placed = stub.call(what, SYS_dup3, {uint64_t(source), uint64_t(entry.fd), O_CLOEXEC});
  if (!placed.ok()) return placed.error();
  epoll_event event{};
  event.events = entry.events;
  event.data.u64 = entry.data;
  const auto at = stub.putObject(event);
  if (!at.ok()) return at.error();
  auto added = stub.call(what, SYS_epoll_ctl, {uint64_t(epoll), EPOLL_CTL_ADD, uint64_t(entry.fd), at.value()});
  if (!added.ok()) return added.error();
  return {};
}

/** Numbers of processes in the path are those of the job's own namespace, if /proc is. */
Result<std::string> pathInProc(const Job& job, const image::Process& process, const std::string& recorded) {
  std::string_view rest = recorded;
  rest.remove_prefix(std::min(rest.size(), std::string_view("/proc/").size()));
  const auto number = takeNumber(rest, 10);
  if (!number) return recorded;
  if (int64_t(*number) == process.pid) return "/proc/self" + std::string(rest);
  const auto self = readLink("/proc/self");
  if (!self.ok() || self.value() != std::to_string(::getpid())) return Error{ENOTSUP, recorded + ": /proc is not the job's own here"};
  return "/proc/" + std::to_string(job.numbers(int32_t(*number))) + std::string(rest);
}

Result<uint64_t> openProcFile(Job& job, Stub& stub, const image::Process& process, const image::OpenFile& file) {
  const auto name = pathInProc(job, process, file.path);
  if (!name) return name.error();
  const auto path = stub.put(name.value());
  if (!path.ok()) return path.error();
  auto opened = stub.call("opening " + file.path, SYS_openat, {uint64_t(int64_t(AT_FDCWD)), path.value(), uint64_t(file.flags)});
  if (!opened.ok()) return opened.error();
  if (file.offset != 0 && (file.flags & O_PATH) == 0) {
    auto moved = stub.call("position in " + file.path, SYS_lseek, {opened.value(), file.offset, SEEK_SET});
    if (!moved.ok()) job.log.line(moved.error().detail);
  }
  return opened;
}

Result<uint64_t> openPidFd(Job& job, Stub& stub, const image::OpenFile& file) {
  const uint64_t flags = uint64_t(file.flags & (O_NONBLOCK | O_EXCL));  // O_EXCL: PIDFD_THREAD
  return stub.call("pidfd of " + std::to_string(file.ownerPid), SYS_pidfd_open, {uint64_t(job.numbers(file.ownerPid)), flags});
}

/** One file at the number that its placeholder has had in this process from its birth. */
Status openOneInside(Job& job, Building& building, uint32_t index, int at) {
  const image::OpenFile& file = job.image.files[index];
  Stub& stub = building.leader();
  auto opened = file.kind == image::FileKind::kProc ? openProcFile(job, stub, *building.process, file) : openPidFd(job, stub, file);
  if (!opened) return opened.error();
  auto placed = stub.call("descriptor " + std::to_string(at), SYS_dup3, {*opened, uint64_t(at), O_CLOEXEC});
  if (!placed.ok()) return placed.error();
  auto closed = stub.call("close", SYS_close, {*opened});
  if (!closed.ok()) return closed.error();
  return {};
}

bool holds(const Building& building, uint32_t file) {
  const auto& all = building.process->descriptors;
  return std::any_of(all.begin(), all.end(), [file](const Descriptor& descriptor) { return descriptor.file == file; });
}

/** The signal tells the number of the descriptor by which it was asked for, so it is asked for in the process. */
Status asyncAgain(Stub& stub, const image::OpenFile& file, int fd) {
  constexpr int kSettable = O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME;
  if ((file.flags & O_ASYNC) == 0 || file.kind == image::FileKind::kInherited) return {};  // that one is the launcher's
  return done(stub.call("flags of descriptor " + std::to_string(fd), SYS_fcntl, {uint64_t(fd), F_SETFL, uint64_t(file.flags & kSettable)}));
}

Status closeRange(Stub& stub, uint64_t first, uint64_t last) {
  if (first > last) return {};
  if (featureAllowed("close_range")) {
    const auto done = stub.attempt(SYS_close_range, {first, last, 0});
    if (!done.ok()) return done.error();
    if (done.value() == 0) return {};
  }
  // Before Linux 5.9. Every descriptor that the stub can have was made by this coordinator and lies in its own table, too.
  DIR* listing = ::opendir("/proc/self/fd");
  if (listing == nullptr) return systemError("/proc/self/fd");
  Status status;
  while (const dirent* entry = ::readdir(listing)) {
    const uint64_t fd = std::strtoull(entry->d_name, nullptr, 10);
    if (entry->d_name[0] == '.' || fd < first || fd > last) continue;
    if (const auto done = stub.attempt(SYS_close, {fd}); !done.ok()) status = done.error();
  }
  ::closedir(listing);
  return status;
}

Status closeOthers(Stub& stub, std::vector<int32_t> kept) {
  std::sort(kept.begin(), kept.end());
  uint64_t next = 0;
  for (const int32_t fd : kept) {
    if (fd > 0) BLCR_TRY(closeRange(stub, next, uint64_t(fd) - 1));
    next = uint64_t(fd) + 1;
  }
  return closeRange(stub, next, ~0u);
}

}  // namespace

Status openInside(Job& job, const Sources& sources) {
  for (Building& building : job.processes) {
    if (!building.isAlive() || building.process->sharesFilesWithParent) continue;
    for (uint32_t index = 0; index < job.image.files.size(); ++index) {
      if (!isOpenedInside(job.image.files[index]) || !holds(building, index)) continue;
      const Status opened = openOneInside(job, building, index, sources.files[index]);
      if (!opened.ok()) return inProcess(*building.process, opened.error());
    }
  }
  return {};
}

Status fillEpolls(Job& job, const Sources& sources) {
  for (uint32_t index = 0; index < job.image.files.size(); ++index) {
    Building* owner = job.image.files[index].epoll.empty() ? nullptr : ownerOf(job, index);
    if (owner == nullptr) continue;
    for (const image::EpollEntry& entry : job.image.files[index].epoll) {
      if (entry.file == image::kNone) continue;
      if (isOpenedInside(job.image.files[entry.file]) && !holds(*owner, entry.file))
        return inProcess(*owner->process,
                         Error{ENOTSUP, "epoll: watches a file that belongs to another process: " + job.image.files[entry.file].path});
      const Status added = addEntry(owner->leader(), sources.files[index], entry, sources.files[entry.file]);
      if (!added.ok()) return inProcess(*owner->process, added.error());
    }
  }
  return {};
}

Status placeDescriptors(const Job& job, Building& building, const Sources& sources) {
  Stub& stub = building.leader();
  std::vector<int32_t> kept;
  std::vector<RemoteCall> calls;
  for (const Descriptor& descriptor : building.process->descriptors) {
    kept.push_back(descriptor.fd);
    const uint64_t flags = descriptor.closeOnExec ? O_CLOEXEC : 0;
    calls.push_back({SYS_dup3, {uint64_t(sources.files[descriptor.file]), uint64_t(descriptor.fd), flags}});
  }
  Status status = callAll(stub, calls);
  for (size_t index = 0; status.ok() && index < calls.size(); ++index) {
    if (calls[index].result >= 0) continue;
    errno = int(-calls[index].result);
    status = systemError("descriptor " + std::to_string(kept[index]));
  }
  if (status.ok()) status = closeOthers(stub, kept);
  for (const Descriptor& descriptor : building.process->descriptors)
    if (status.ok()) status = asyncAgain(stub, job.image.files[descriptor.file], descriptor.fd);
  if (!status.ok()) return inProcess(*building.process, status.error());
  return {};
}

}  // namespace blcr
