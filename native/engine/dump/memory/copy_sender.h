// A frozen copy that sends its own pages: into a pipe by reference, read by nobody but the processor's checksum unit; into a file with one
// copy.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "base/result.h"
#include "dump/memory/send_loop.h"
#include "dump/memory/snapshot.h"
#include "image/stream.h"

namespace blcr {

/**
 * Drives one copy. start() is the tracer's, everything else the streaming thread's. Between order() and drain() nobody else may write to
 * the output. A copy that stops on its way (SIGSTOP to its group) is the tracer's to let go on, one that died ends order() and drain() with
 * ESRCH.
 */
class CopySender {
 public:
  /** Gives the copy the output (a pipe or a regular file) and lets it wait for orders, without a descriptor of the job. An error means that
   * the copy's memory must be read from outside, as ever: nothing has been written. */
  [[nodiscard]] static Result<std::unique_ptr<CopySender>> start(const SnapshotProcess& snapshot, int outputFd);
  ~CopySender();
  CopySender(const CopySender&) = delete;
  CopySender& operator=(const CopySender&) = delete;

  void begin(uint32_t space, bool checksum, std::function<Status()> check);
  /** Sends the pages of [address, address + length), which lies in one window and can be read, except those that are zero. */
  [[nodiscard]] Status order(image::Writer& writer, uint64_t address, uint32_t length);
  /** Returns when everything ordered has been written. */
  [[nodiscard]] Status drain(image::Writer& writer);
  /** drain(), after which the copy has closed the output: a reader sees the end of the context without waiting until the copy's memory has
   * been taken back. The last call. */
  [[nodiscard]] Status finish(image::Writer& writer);

 private:
  CopySender(pid_t copy, SendBoard* board) : copy_(copy), board_(board) {}
  [[nodiscard]] Status check() const;
  [[nodiscard]] Status awaitDone(image::Writer& writer, uint32_t inFlight);
  pid_t copy_;
  SendBoard* board_;
  uint32_t accounted_ = 0;
  std::function<Status()> check_;
};

}  // namespace blcr
