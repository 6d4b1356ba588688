// System V semaphores and message queues; shared memory is a SharedSegment as any other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace blcr::image {

/** A System V object: made again in the job's own IPC namespace. */
struct IpcName {
  int32_t id = -1, key = 0;
  uint32_t mode = 0, uid = 0, gid = 0;  // mode: SHM_DEST and SHM_LOCKED too
};

/** What a semaphore gets back when a process ends (SEM_UNDO). */
struct SemaphoreUndo {
  int32_t pid = 0;
  uint32_t number = 0;
  int32_t adjustment = 0;
};

struct SemaphoreSet {
  IpcName name;
  std::vector<uint16_t> values;
  std::vector<SemaphoreUndo> undo;
  std::vector<int32_t> users;  // the last process that changed each of them, 0 = none
  bool isUsed = false;         // a semop was done, which the set's date tells
};

struct IpcMessage {
  int64_t type = 0;
  std::string text;
};

struct MessageQueue {
  IpcName name;
  uint64_t capacity = 0;  // bytes
  std::vector<IpcMessage> messages;
};

}  // namespace blcr::image
