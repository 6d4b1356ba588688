// io_urings by system calls alone, with counters of the program's own, as libraries have them.
#pragma once

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "holds.h"

namespace holds {

// Of newer kernels than Debian 12's headers. Source: linux/io_uring.h
constexpr uint32_t kDeferred = 1u << 13, kNoMemoryMap = 1u << 14, kNoArray = 1u << 16;

class Ring {
 public:
  /** notHere() where the kernel has no such ring or forbids it. */
  explicit Ring(uint32_t entries, uint32_t flags = 0, uint32_t completions = 0, bool twice = false) {
    parameters_.flags = flags | (completions != 0 ? uint32_t(IORING_SETUP_CQSIZE) : 0);
    parameters_.cq_entries = completions;
    fd_ = int(syscall(SYS_io_uring_setup, entries, &parameters_));
    if (fd_ < 0 || !isTold()) notHere();
    calls_ = map(IORING_OFF_SQES, parameters_.sq_entries * callSize());
    submissions_ = map(IORING_OFF_SQ_RING, queueBytes());
    results_ = twice ? map(IORING_OFF_CQ_RING, queueBytes()) : submissions_;
    for (uint32_t index = 0; hasArray() && index < parameters_.sq_entries; ++index)
      word(submissions_, parameters_.sq_off.array + 4 * index) = index;
  }
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] const io_uring_params& parameters() const { return parameters_; }

  /** Written, not submitted. */
  io_uring_sqe& add(uint8_t operation, uint64_t data) {
    char* at = calls_ + (written_ & (parameters_.sq_entries - 1)) * callSize();
    memset(at, 0, callSize());
    auto& call = *reinterpret_cast<io_uring_sqe*>(at);
    call.opcode = operation;
    call.user_data = data;
    __atomic_store_n(&word(submissions_, parameters_.sq_off.tail), ++written_, __ATOMIC_RELEASE);
    return call;
  }
  [[nodiscard]] int enter(uint32_t submit, uint32_t wait) const {
    return int(syscall(SYS_io_uring_enter, fd_, submit, wait, wait != 0 ? IORING_ENTER_GETEVENTS : 0, nullptr, 0));
  }
  /** Submits one request and waits for it. A stop between the two makes the call return with what is done: the request is submitted. */
  void enterAndWait() const {
    REQUIRE(enter(1, 1) == 1);
    while (unread() == 0) REQUIRE(enter(0, 1) == 0);
  }
  /** The oldest completion that was not taken yet. */
  [[nodiscard]] io_uring_cqe take() {
    REQUIRE(unread() != 0);
    const uint32_t size = wideResults() ? 32 : 16;
    io_uring_cqe result{};
    memcpy(&result, results_ + parameters_.cq_off.cqes + (taken_ & (parameters_.cq_entries - 1)) * size, sizeof result);
    __atomic_store_n(&word(results_, parameters_.cq_off.head), ++taken_, __ATOMIC_RELEASE);
    return result;
  }
  [[nodiscard]] uint32_t unread() const { return __atomic_load_n(&word(results_, parameters_.cq_off.tail), __ATOMIC_ACQUIRE) - taken_; }
  /** One request that does nothing, from beginning to end. */
  void nothing(uint64_t data) {
    add(IORING_OP_NOP, data);
    enterAndWait();
    const io_uring_cqe result = take();
    REQUIRE(result.user_data == data && result.res == 0);
  }
  [[nodiscard]] int registers(uint32_t operation, const void* argument, uint32_t count) const {
    return int(syscall(SYS_io_uring_register, fd_, operation, argument, count));
  }
  /** Takes the first page of its queues away. */
  void cutQueues() const { REQUIRE(munmap(submissions_, 4096) == 0); }

 private:
  /** Linux 5.16 and later tell enough of a ring for a checkpoint. */
  [[nodiscard]] bool isTold() const {
    const int file = open(("/proc/self/fdinfo/" + std::to_string(fd_)).c_str(), O_RDONLY | O_CLOEXEC);
    const std::string text = holds::take(file);
    close(file);
    return text.find("SqMask:") != std::string::npos;
  }
  [[nodiscard]] bool hasArray() const { return (parameters_.flags & kNoArray) == 0; }
  [[nodiscard]] bool wideResults() const { return (parameters_.flags & IORING_SETUP_CQE32) != 0; }
  [[nodiscard]] size_t callSize() const { return (parameters_.flags & IORING_SETUP_SQE128) != 0 ? 128 : 64; }
  [[nodiscard]] size_t queueBytes() const {
    const size_t results = parameters_.cq_off.cqes + size_t(parameters_.cq_entries) * (wideResults() ? 32 : 16);
    return hasArray() ? parameters_.sq_off.array + size_t(parameters_.sq_entries) * 4 : results;
  }
  [[nodiscard]] char* map(off_t offset, size_t size) const {
    void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, offset);
    REQUIRE(at != MAP_FAILED);
    return static_cast<char*>(at);
  }
  static uint32_t& word(char* memory, uint32_t offset) { return *reinterpret_cast<uint32_t*>(memory + offset); }

  io_uring_params parameters_{};
  int fd_ = -1;
  char *calls_ = nullptr, *submissions_ = nullptr, *results_ = nullptr;
  uint32_t written_ = 0, taken_ = 0;
};

}  // namespace holds
