#include "restore/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include <algorithm>

#include "base/features.h"

namespace blcr {
namespace {

using image::Descriptor;

Building* firstOwner(Job& job, uint32_t file) {
  for (Building& building : job.processes)
    for (const Descriptor& descriptor : building.process->descriptors)
      if (descriptor.file == file && building.isAlive()) return &building;
  return nullptr;
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

/** A file of /proc belongs to the process that opens it. */
Status openProcFile(Job& job, Stub& stub, const image::OpenFile& file, int fd) {
  const auto path = stub.put(file.path);
  if (!path.ok()) return path.error();
  auto opened = stub.call("opening " + file.path, SYS_openat, {uint64_t(int64_t(AT_FDCWD)), path.value(), uint64_t(file.flags)});
  if (!opened.ok()) return opened.error();
  if (file.offset != 0) {
    auto moved = stub.call("position in " + file.path, SYS_lseek, {opened.value(), file.offset, SEEK_SET});
    if (!moved.ok()) job.log.line(moved.error().detail);
  }
  if (opened.value() == uint64_t(fd)) return {};
  auto placed = stub.call("descriptor " + std::to_string(fd), SYS_dup3, {opened.value(), uint64_t(fd), 0});
  if (!placed.ok()) return placed.error();
  auto closed = stub.call("close", SYS_close, {opened.value()});
  if (!closed.ok()) return closed.error();
  return {};
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

Status fillEpolls(Job& job, const Sources& sources) {
  for (uint32_t index = 0; index < job.image.files.size(); ++index) {
    Building* owner = job.image.files[index].epoll.empty() ? nullptr : firstOwner(job, index);
    if (owner == nullptr) continue;
    for (const image::EpollEntry& entry : job.image.files[index].epoll) {
      if (entry.file == image::kNone || sources.files[entry.file] < 0) continue;
      const Status added = addEntry(owner->leader(), sources.files[index], entry, sources.files[entry.file]);
      if (!added.ok()) return inProcess(*owner->process, added.error());
    }
  }
  return {};
}

Status placeDescriptors(Job& job, Building& building, const Sources& sources) {
  Stub& stub = building.leader();
  std::vector<int32_t> kept;
  for (const Descriptor& descriptor : building.process->descriptors) kept.push_back(descriptor.fd);
  for (const Descriptor& descriptor : building.process->descriptors) {
    const int source = sources.files[descriptor.file];
    if (source < 0) continue;
    const uint64_t flags = descriptor.closeOnExec ? O_CLOEXEC : 0;
    auto done = stub.call("descriptor " + std::to_string(descriptor.fd), SYS_dup3, {uint64_t(source), uint64_t(descriptor.fd), flags});
    if (!done.ok()) return inProcess(*building.process, done.error());
  }
  Status status = closeOthers(stub, kept);
  for (const Descriptor& descriptor : building.process->descriptors) {
    const image::OpenFile& file = job.image.files[descriptor.file];
    if (status.ok() && sources.files[descriptor.file] < 0) status = openProcFile(job, stub, file, descriptor.fd);
  }
  if (!status.ok()) return inProcess(*building.process, status.error());
  return {};
}

}  // namespace blcr
