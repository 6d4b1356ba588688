// System V shared memory of this process's own IPC namespace, attached here for a while.
#pragma once

#include <sys/mman.h>
#include <sys/shm.h>

#include <cstddef>
#include <string>
#include <utility>

#include "base/result.h"

namespace blcr {

/** Children of this process do not have it: they would count as attached. */
class AttachedSegment {
 public:
  AttachedSegment() = default;
  /** `flags` as shmat(2). EACCES when the permissions forbid it. */
  [[nodiscard]] static Result<AttachedSegment> attach(int id, int flags) {
    AttachedSegment made;
    shmid_ds info{};
    void* at = ::shmctl(id, IPC_STAT, &info) == 0 ? ::shmat(id, nullptr, flags) : reinterpret_cast<void*>(-1);
    if (at == reinterpret_cast<void*>(-1)) return systemError("System V shared memory " + std::to_string(id));
    made.at_ = static_cast<std::byte*>(at);
    made.size_ = info.shm_segsz;
    ::madvise(at, made.size_, MADV_DONTFORK);
    return made;
  }
  ~AttachedSegment() {
    if (at_ != nullptr) ::shmdt(at_);
  }
  AttachedSegment(AttachedSegment&& other) noexcept : at_(std::exchange(other.at_, nullptr)), size_(other.size_) {}
  AttachedSegment& operator=(AttachedSegment&& other) noexcept {
    std::swap(at_, other.at_);
    std::swap(size_, other.size_);
    return *this;
  }
  AttachedSegment(const AttachedSegment&) = delete;
  AttachedSegment& operator=(const AttachedSegment&) = delete;
  explicit operator bool() const { return at_ != nullptr; }
  [[nodiscard]] std::byte* data() const { return at_; }
  [[nodiscard]] size_t size() const { return size_; }

 private:
  std::byte* at_ = nullptr;
  size_t size_ = 0;
};

}  // namespace blcr
