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

namespace {

/** What the kernel says of all objects of a kind, asked for much faster than a table is written; most jobs run where there are none. */
struct Population {
  int highest = -1;  // index of an object
  size_t objects = 0;
};

Population populationOf(IpcKind kind) {
  shm_info segments{};
  seminfo sets{};
  msginfo queues{};
  switch (kind) {
    case IpcKind::kSegment:
      return {::shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds*>(&segments)), size_t(segments.used_ids)};
    case IpcKind::kSemaphores:
      return {::semctl(0, 0, SEM_INFO, &sets), size_t(sets.semusz)};
    case IpcKind::kQueue:
      return {::msgctl(0, MSG_INFO, reinterpret_cast<msqid_ds*>(&queues)), size_t(queues.msgpool)};
  }
  return {};
}

IpcObject objectWith(int id, const ipc_perm& permissions) {
  IpcObject object;
  object.key = permissions.__key;
  object.id = id;
  object.mode = permissions.mode;
  object.uid = permissions.uid;
  object.gid = permissions.gid;
  object.creatorUid = permissions.cuid;
  return object;
}

std::optional<IpcObject> segmentAt(int index) {
  shmid_ds info{};
  const int id = ::shmctl(index, SHM_STAT_ANY, &info);
  if (id < 0) return std::nullopt;
  IpcObject object = objectWith(id, info.shm_perm);
  object.size = info.shm_segsz;
  object.attached = info.shm_nattch;
  object.first = info.shm_cpid;
  object.second = info.shm_lpid;
  object.firstTime = info.shm_atime;
  object.secondTime = info.shm_dtime;
  object.changed = info.shm_ctime;
  return object;
}

std::optional<IpcObject> setAt(int index) {
  semid_ds info{};
  const int id = ::semctl(index, 0, SEM_STAT_ANY, &info);
  if (id < 0) return std::nullopt;
  IpcObject object = objectWith(id, info.sem_perm);
  object.size = info.sem_nsems;
  object.firstTime = info.sem_otime;
  object.changed = info.sem_ctime;
  return object;
}

std::optional<IpcObject> queueAt(int index) {
  msqid_ds info{};
  const int id = ::msgctl(index, MSG_STAT_ANY, &info);
  if (id < 0) return std::nullopt;
  IpcObject object = objectWith(id, info.msg_perm);
  object.size = info.__msg_cbytes;
  object.first = info.msg_lspid;
  object.second = info.msg_lrpid;
  object.firstTime = info.msg_stime;
  object.secondTime = info.msg_rtime;
  object.changed = info.msg_ctime;
  return object;
}

/** Where few of the many numbers are in use the table is quicker. */
bool isSparse(const Population& population) { return size_t(population.highest) > 64 + 8 * population.objects; }

}  // namespace

std::vector<IpcObject> askIpcObjects(IpcKind kind) {
  std::optional<IpcObject> (*const objectAt)(int) = kind == IpcKind::kSegment ? segmentAt : kind == IpcKind::kSemaphores ? setAt : queueAt;
  std::vector<IpcObject> objects;
  for (int index = 0, highest = populationOf(kind).highest; index <= highest; ++index)
    if (const auto object = objectAt(index)) objects.push_back(*object);
  return objects;
}

std::vector<IpcObject> readIpcTable(IpcKind kind) {
  static constexpr const char* kNames[] = {"shm", "sem", "msg"};
  const auto text = readFile(std::string("/proc/sysvipc/") + kNames[size_t(kind)]);
  return text ? parseIpcTable(kind, text.value()) : std::vector<IpcObject>();
}

std::vector<IpcObject> findIpcObjects(IpcKind kind) {
  const Population population = populationOf(kind);
  if (population.highest < 0 || population.objects == 0) return {};
  if (isSparse(population)) return readIpcTable(kind);
  // One that is missing was removed, or this kernel (before 4.17) or its rules do not answer: whether it is the one or the other the
  // table tells.
  std::vector<IpcObject> objects = askIpcObjects(kind);
  return objects.size() < population.objects ? readIpcTable(kind) : objects;
}

}  // namespace blcr
