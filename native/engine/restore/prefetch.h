// Reading ahead: frames are read and their checksums verified in one thread while another puts them into memory.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/thread.h"
#include "base/unique_fd.h"
#include "image/stream.h"

namespace blcr {

/**
 * Runs Reader::next() in a thread of its own, a few frames ahead. One consumer. Its thread takes a number of the pid namespace: begin it
 * only when all tasks of the job exist. The destructor ends the thread, also while it waits for input.
 */
class Prefetch {
 public:
  explicit Prefetch(image::Reader& reader) : reader_(reader) {}
  ~Prefetch();
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  /** EAGAIN or others of eventfd(2): no thread can be had. */
  [[nodiscard]] Status begin();
  /** As Reader::next(); the payload stays valid until the next call. */
  [[nodiscard]] Result<image::Frame> next();

 private:
  struct Item {
    Result<image::Frame> frame;
    std::string memory;  // behind the frame's payload
  };
  static constexpr size_t kAhead = 8;  // frames of at most 1 MiB

  void run();
  image::Reader& reader_;
  UniqueFd cancel_;
  Thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> ready_;
  std::vector<std::string> spare_;
  std::optional<Item> current_;
  bool stop_ = false;
};

}  // namespace blcr
