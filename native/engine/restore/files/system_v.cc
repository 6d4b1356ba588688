#include "restore/files/system_v.h"

#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/features.h"
#include "base/unique_fd.h"
#include "proc/system_v.h"
#include "restore/memory/huge_pages.h"

namespace blcr {
namespace {

constexpr uint32_t kPermissions = 0777;

/** Tells the kernel the number of the next object. Linux 5.19 lets the owner of the namespace do that. */
void wishNumber(const char* file, int number) {
  const std::string text = std::to_string(number);
  const UniqueFd fd(featureAllowed("next_id") ? ::open(file, O_WRONLY | O_CLOEXEC) : -1);
  if (fd) static_cast<void>(!::write(fd.get(), text.data(), text.size()));
}

/**
 * An object with the number `wanted`. Where it cannot be wished for, objects are made and removed until it comes: numbers of a fresh
 * namespace are given out in turn, so that one comes that is not too far away.
 */
template <typename Make, typename Remove>
Status makeNumbered(const char* file, const std::string& what, int wanted, Make make, Remove remove) {
  constexpr int kTries = 1 << 18;  // about a second
  wishNumber(file, wanted);
  for (int tries = 0; tries < kTries; ++tries) {
    const int id = make();
    if (id == wanted) return {};
    if (id < 0) return systemError(what);
    remove(id);
    if (id > wanted) break;
  }
  return Error{ENOTSUP, what + ": this kernel does not give it its old number"};
}

/** Owners other than the job's own user; the namespace knows no other users, as with files. */
template <typename Info, typename Control>
void setOwner(const image::IpcName& name, Info& info, ipc_perm& permissions, const std::string& what, Control control, Log& log) {
  if (control(IPC_STAT, &info) != 0 || (permissions.uid == name.uid && permissions.gid == name.gid)) return;
  permissions.uid = name.uid;
  permissions.gid = name.gid;
  if (control(IPC_SET, &info) != 0) log.line(systemError(what + ": its owner is the job's user now").detail);
}

Status makeSemaphores(const image::SemaphoreSet& set, Log& log) {
  const image::IpcName& name = set.name;
  const std::string what = nameOf(IpcKind::kSemaphores, name.id);
  const auto make = [&] { return ::semget(name.key, int(set.values.size()), int(name.mode & kPermissions) | IPC_CREAT | IPC_EXCL); };
  BLCR_TRY(makeNumbered("/proc/sys/kernel/sem_next_id", what, name.id, make, [](int id) { ::semctl(id, 0, IPC_RMID); }));
  if (::semctl(name.id, 0, SETALL, set.values.data()) != 0) return systemError(what);
  semid_ds info{};
  const auto control = [&](int command, semid_ds* into) { return ::semctl(name.id, 0, command, into); };
  setOwner(name, info, info.sem_perm, what, control, log);
  return {};
}

Status fillQueue(const image::MessageQueue& queue, const std::string& what) {
  std::vector<char> buffer;
  for (const image::IpcMessage& message : queue.messages) {
    const long type = long(message.type);
    buffer.resize(sizeof type + message.text.size());
    std::memcpy(buffer.data(), &type, sizeof type);
    std::memcpy(buffer.data() + sizeof type, message.text.data(), message.text.size());
    if (::msgsnd(queue.name.id, buffer.data(), message.text.size(), IPC_NOWAIT) != 0) return systemError(what + ": its messages");
  }
  return {};
}

Status makeQueue(const image::MessageQueue& queue, Log& log) {
  const image::IpcName& name = queue.name;
  const std::string what = nameOf(IpcKind::kQueue, name.id);
  const auto make = [&] { return ::msgget(name.key, int(name.mode & kPermissions) | IPC_CREAT | IPC_EXCL); };
  BLCR_TRY(makeNumbered("/proc/sys/kernel/msg_next_id", what, name.id, make, [](int id) { ::msgctl(id, IPC_RMID, nullptr); }));
  msqid_ds info{};
  if (::msgctl(name.id, IPC_STAT, &info) != 0) return systemError(what);
  if (info.msg_qbytes != queue.capacity) {
    info.msg_qbytes = queue.capacity;
    if (::msgctl(name.id, IPC_SET, &info) != 0) return systemError(what + ": room for " + std::to_string(queue.capacity) + " bytes");
  }
  const auto control = [&](int command, msqid_ds* into) { return ::msgctl(name.id, command, into); };
  setOwner(name, info, info.msg_perm, what, control, log);
  return fillQueue(queue, what);
}

/** Net effect none. */
std::array<sembuf, 2> touching(size_t number, int value) {
  const short first = value < 32767 ? 1 : -1;  // SEMVMX
  const auto which = static_cast<unsigned short>(number);
  return {sembuf{which, first, IPC_NOWAIT}, sembuf{which, short(-first), IPC_NOWAIT}};
}

Building* livingProcess(Job& job, pid_t pid) {
  const auto isIt = [pid](const Building& building) { return building.process->pid == pid && building.isAlive(); };
  const auto found = std::find_if(job.processes.begin(), job.processes.end(), isIt);
  return found == job.processes.end() ? nullptr : &*found;
}

/** Net effect none, but for what is owed. */
std::array<sembuf, 2> owing(const image::SemaphoreUndo& undo, int value) {
  const auto number = static_cast<unsigned short>(undo.number);
  const auto owed = short(-undo.adjustment), back = short(undo.adjustment);
  const sembuf first{number, back, IPC_NOWAIT}, second{number, owed, IPC_NOWAIT | SEM_UNDO};
  const bool fits = value + undo.adjustment >= 0 && value + undo.adjustment <= 32767;  // SEMVMX
  return fits ? std::array{first, second} : std::array{second, first};
}

}  // namespace

Status makeSystemV(const image::Image& image, Log& log) {
  for (const image::SemaphoreSet& set : image.semaphores) BLCR_TRY(makeSemaphores(set, log));
  for (const image::MessageQueue& queue : image.queues) BLCR_TRY(makeQueue(queue, log));
  return {};
}

Result<AttachedSegment> makeAttached(const image::SharedSegment& segment, Log& log) {
  const image::IpcName& name = segment.ipc;
  const std::string what = nameOf(IpcKind::kSegment, name.id);
  const int flags = int(name.mode & kPermissions) | IPC_CREAT | IPC_EXCL | int(hugeFlags(segment.hugeShift, SHM_HUGETLB));
  const auto make = [&] { return ::shmget(name.key, segment.size, flags); };
  const auto remove = [](int id) { ::shmctl(id, IPC_RMID, nullptr); };
  const Status numbered = makeNumbered("/proc/sys/kernel/shm_next_id", what, name.id, make, remove);
  if (!numbered.ok()) return explainHuge(numbered.error(), segment.hugeShift);
  if ((name.mode & SHM_LOCKED) != 0 && ::shmctl(name.id, SHM_LOCK, nullptr) != 0)
    log.line(systemError(what + " is no longer locked").detail);
  shmid_ds info{};
  const auto control = [&](int command, shmid_ds* into) { return ::shmctl(name.id, command, into); };
  setOwner(name, info, info.shm_perm, what, control, log);
  return AttachedSegment::attach(name.id, 0);
}

/** What of a whole segment at `at` is not shown by the area any more. */
static Status detachRest(Stub& stub, const std::string& what, uint64_t at, const image::Area& area, uint64_t whole) {
  if (area.offset != 0) BLCR_TRY(done(stub.call(what, SYS_munmap, {at, area.offset})));
  const uint64_t end = area.offset + (area.end - area.start);
  return end == whole ? Status() : done(stub.call(what, SYS_munmap, {at + end, whole - end}));
}

/** Where it was, if nothing is there yet: before Linux 5.16 huge pages cannot be moved. */
static Result<bool> attachInPlace(Stub& stub, const std::string& what, const image::Area& area, const image::SharedSegment& segment,
                                  uint64_t flags) {
  const uint64_t at = area.start - area.offset;
  const auto attached = stub.attempt(SYS_shmat, {uint64_t(segment.ipc.id), at, flags});
  if (!attached.ok()) return attached.error();
  if (attached.value() < 0) return false;
  const Status rest = detachRest(stub, what, at, area, segment.size);
  if (!rest.ok()) return rest.error();
  return true;
}

Status attachArea(Stub& stub, const image::Area& area, const image::SharedSegment& segment) {
  const std::string what = "attaching " + nameOf(IpcKind::kSegment, segment.ipc.id);
  const uint64_t size = area.end - area.start, whole = wholePages(segment.size);
  const bool isWhole = area.offset == 0 && size == whole;
  uint64_t flags = area.maybeWritable ? 0 : SHM_RDONLY;
  if ((area.protection & PROT_EXEC) != 0) flags |= SHM_EXEC;
  if (!isWhole && area.offset + size > whole) return Error{EINVAL, what + ": the area is larger"};
  const bool mayStay = !isWhole && segment.hugeShift != 0 && area.start > area.offset;
  const auto inPlace = mayStay ? attachInPlace(stub, what, area, segment, flags) : Result<bool>(false);
  if (!inPlace.ok()) return inPlace.error();
  if (inPlace.value()) return done(stub.call(what, SYS_mprotect, {area.start, size, area.protection}));
  auto at = stub.call(what, SYS_shmat, {uint64_t(segment.ipc.id), isWhole ? area.start : 0, flags});
  if (!at.ok()) return at.error();
  if (!isWhole) {
    // A part, or moved: only the whole can be attached.
    constexpr uint64_t kMove = MREMAP_MAYMOVE | MREMAP_FIXED;
    BLCR_TRY(done(stub.call(what, SYS_mremap, {at.value() + area.offset, size, size, kMove, area.start})));
    BLCR_TRY(detachRest(stub, what, at.value(), area, whole));
  }
  return done(stub.call(what, SYS_mprotect, {area.start, size, area.protection}));
}

Status oweSemaphores(Job& job) {
  for (const image::SemaphoreSet& set : job.image.semaphores)
    for (const image::SemaphoreUndo& undo : set.undo) {
      Building* const building = livingProcess(job, undo.pid);
      if (building == nullptr) return Error{EINVAL, "a semaphore adjustment of no process"};
      Stub& stub = building->leader();
      const auto at = stub.putObject(owing(undo, set.values[undo.number]));
      if (!at.ok()) return at.error();
      auto made = stub.call(nameOf(IpcKind::kSemaphores, set.name.id), SYS_semop, {uint64_t(set.name.id), at.value(), 2});
      if (!made.ok()) return inProcess(*building->process, made.error());
    }
  return {};
}

Status useSemaphores(Job& job) {
  for (const image::SemaphoreSet& set : job.image.semaphores) {
    if (!set.isUsed) continue;
    const std::string what = nameOf(IpcKind::kSemaphores, set.name.id);
    auto first = touching(0, set.values[0]);
    if (::semop(set.name.id, first.data(), first.size()) != 0) return systemError(what);
    for (size_t number = 0; number < set.values.size(); ++number) {
      Building* const user = livingProcess(job, set.users[number]);
      if (user == nullptr) continue;
      const auto at = user->leader().putObject(touching(number, set.values[number]));
      if (!at.ok()) return at.error();
      auto made = user->leader().call(what, SYS_semop, {uint64_t(set.name.id), at.value(), 2});
      if (!made.ok()) return inProcess(*user->process, made.error());
    }
  }
  return {};
}

Status removeSegments(const image::Image& image) {
  for (const image::SharedSegment& segment : image.shared)
    if (segment.ipc.id >= 0 && (segment.ipc.mode & SHM_DEST) != 0 && ::shmctl(segment.ipc.id, IPC_RMID, nullptr) != 0)
      return systemError("removing " + nameOf(IpcKind::kSegment, segment.ipc.id));
  return {};
}

}  // namespace blcr
