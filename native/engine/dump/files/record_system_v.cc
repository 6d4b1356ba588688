// Contents of System V objects.
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

#include <algorithm>

#include "base/codes.h"
#include "dump/files/semaphore_undo.h"
#include "dump/files/system_v.h"
#include "dump/memory/huge_pages.h"

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

namespace blcr {
namespace {

image::IpcName identityOf(const IpcObject& object) { return {object.id, object.key, object.mode, object.uid, object.gid}; }

Error unreadable(IpcKind kind, int id) {
  const Error error = systemError(nameOf(kind, id) + " cannot be read");
  return Error{kErrorNoSupport, error.detail};
}

}  // namespace

uint32_t attachedSegmentIndex(Recording& recording, int id) {
  const auto known = recording.attachedSegments.find(id);
  if (known != recording.attachedSegments.end()) return known->second;
  const auto index = uint32_t(recording.image.shared.size());
  recording.image.shared.emplace_back();
  recording.segments.emplace_back();
  recording.attachedSegments[id] = index;
  return index;
}

Status recordSegment(const IpcObject& object, Recording& recording) {
  auto attached = AttachedSegment::attach(object.id, SHM_RDONLY);
  if (!attached) return Error{kErrorNoSupport, attached.error().detail};
  const auto shift = hugeShiftOf(*attached);
  if (!shift.ok()) return Error{kErrorNoSupport, nameOf(IpcKind::kSegment, object.id) + ": " + shift.error().detail};
  const uint32_t index = attachedSegmentIndex(recording, object.id);
  recording.image.shared[index].hugeShift = shift.value();
  recording.mustStay = recording.mustStay || shift.value() != 0;
  recording.image.shared[index].ipc = identityOf(object);
  SegmentSource& source = recording.segments[index];
  source.size = object.size;
  source.attached = *std::move(attached);
  return {};
}

Status recordSemaphores(const IpcObject& object, std::deque<FrozenProcess>& processes, Recording& recording) {
  image::SemaphoreSet& set = recording.image.semaphores.emplace_back();
  set.name = identityOf(object);
  set.values.resize(object.size);
  if (::semctl(object.id, 0, GETALL, set.values.data()) < 0) return unreadable(IpcKind::kSemaphores, object.id);
  for (int number = 0; uint64_t(number) < object.size; ++number) set.users.push_back(std::max(0, ::semctl(object.id, number, GETPID)));
  set.isUsed = object.firstTime != 0;
  // One owes what one has done, and every successful semop dates the set, whose date never goes back to 0: the calls that set values
  // directly have another one. That no task of the job can have one done since the table was read, see isOlderThanJob().
  return recordSemaphoreUndo(processes, set, object.firstTime != 0);
}

Status recordQueue(const IpcObject& object, Recording& recording) {
  image::MessageQueue& queue = recording.image.queues.emplace_back();
  queue.name = identityOf(object);
  msqid_ds info{};
  if (::msgctl(object.id, IPC_STAT, &info) != 0) return unreadable(IpcKind::kQueue, object.id);
  queue.capacity = info.msg_qbytes;
  std::vector<char> buffer(sizeof(long) + object.size + 1);
  for (size_t index = 0;; ++index) {
    // Without CONFIG_CHECKPOINT_RESTORE a message cannot be looked at without taking it: ENOSYS.
    const ssize_t length = ::msgrcv(object.id, buffer.data(), object.size + 1, long(index), IPC_NOWAIT | MSG_COPY);
    if (length < 0 && errno == ENOMSG) return {};
    if (length < 0) return unreadable(IpcKind::kQueue, object.id);
    long type = 0;
    std::memcpy(&type, buffer.data(), sizeof type);
    queue.messages.push_back({type, std::string(buffer.data() + sizeof type, size_t(length))});
  }
}

}  // namespace blcr
