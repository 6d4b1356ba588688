#include "proc/system_v.h"

#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include <optional>

#include "base/io.h"
#include "proc/parse.h"

namespace blcr {
namespace {

using Numbers = std::vector<int64_t>;

/** The numbers of one line; keys and identifiers may be negative, permissions (the third) are octal. */
Numbers numbersOf(std::string_view line) {
  Numbers numbers;
  for (std::string_view field = takeField(line); !field.empty(); field = takeField(line)) {
    const bool negative = takeChar(field, '-');
    const auto number = takeNumber(field, numbers.size() == 2 ? 8 : 10);
    if (!number || !field.empty()) return {};
    numbers.push_back(int64_t(negative ? 0 - *number : *number));
  }
  return numbers;
}

void setOwners(IpcObject& object, const int64_t* owners) {
  object.uid = uint32_t(owners[0]);
  object.gid = uint32_t(owners[1]);
  object.creatorUid = uint32_t(owners[2]);
}

std::optional<IpcObject> objectOf(IpcKind kind, const Numbers& numbers) {
  if (numbers.size() < 10 || (kind != IpcKind::kSemaphores && numbers.size() < 14)) return std::nullopt;
  IpcObject object;
  object.key = int32_t(numbers[0]);
  object.id = int32_t(numbers[1]);
  object.mode = uint32_t(numbers[2]);
  object.size = uint64_t(numbers[3]);
  if (kind == IpcKind::kSemaphores) {  // key semid perms nsems uid gid cuid cgid otime ctime
    setOwners(object, &numbers[4]);
    object.firstTime = numbers[8];
    object.changed = numbers[9];
    return object;
  }
  setOwners(object, &numbers[7]);
  object.firstTime = numbers[11];
  object.secondTime = numbers[12];
  object.changed = numbers[13];
  // key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime … or key msqid perms cbytes qnum lspid lrpid uid …
  const size_t users = kind == IpcKind::kSegment ? 4 : 5;
  object.first = pid_t(numbers[users]);
  object.second = pid_t(numbers[users + 1]);
  if (kind == IpcKind::kSegment) object.attached = uint64_t(numbers[6]);
  return object;
}

}  // namespace

std::string nameOf(IpcKind kind, int id) {
  static constexpr const char* kNames[] = {"System V shared memory ", "System V semaphore set ", "System V message queue "};
  return kNames[size_t(kind)] + std::to_string(id);
}

std::vector<IpcObject> parseIpcTable(IpcKind kind, std::string_view text) {
  std::vector<IpcObject> objects;
  takeLine(text);  // headings
  while (!text.empty()) {
    const auto object = objectOf(kind, numbersOf(takeLine(text)));
    if (object) objects.push_back(*object);
  }
  return objects;
}

/** Asked for much faster than the table is written, and most jobs run where there is none. */
static bool hasObjects(IpcKind kind) {
  shm_info segments{};
  seminfo sets{};
  msginfo queues{};
  switch (kind) {
    case IpcKind::kSegment:
      return ::shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds*>(&segments)) >= 0 && segments.used_ids > 0;
    case IpcKind::kSemaphores:
      return ::semctl(0, 0, SEM_INFO, &sets) >= 0 && sets.semusz > 0;
    case IpcKind::kQueue:
      return ::msgctl(0, MSG_INFO, reinterpret_cast<msqid_ds*>(&queues)) >= 0 && queues.msgpool > 0;
  }
  return false;
}

std::vector<IpcObject> readIpcTable(IpcKind kind) {
  if (!hasObjects(kind)) return {};
  static constexpr const char* kNames[] = {"shm", "sem", "msg"};
  const auto text = readFile(std::string("/proc/sysvipc/") + kNames[size_t(kind)]);
  return text ? parseIpcTable(kind, text.value()) : std::vector<IpcObject>();
}

}  // namespace blcr
