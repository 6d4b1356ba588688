// A task under construction: stopped under ptrace from its birth, made into what the image says by system calls in its name.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "trace/tracee.h"

namespace blcr {

inline constexpr uint64_t kPageBytes = 4096;

/** `size` rounded up to whole pages. */
constexpr uint64_t wholePages(uint64_t size) { return (size + kPageBytes - 1) / kPageBytes * kPageBytes; }

/** Where every stub has a page of its own for arguments of system calls, and room beside it to park the vdso. */
struct ScratchPage {
  static constexpr uint64_t kDataSize = 4 * kPageBytes;
  static constexpr uint64_t kSize = 64 * kPageBytes;
  uint64_t address = 0;
  [[nodiscard]] uint64_t parking() const { return address + kDataSize; }
  [[nodiscard]] uint64_t end() const { return address + kSize; }
};

/**
 * One task. All its signals are blocked, so nothing but SIGKILL can interfere. Every call fails with ESRCH when it died. Dies with the
 * coordinator (PTRACE_O_EXITKILL) until it is let go.
 */
class Stub {
 public:
  /** Options of all stubs: their children are traced from birth. */
  [[nodiscard]] static unsigned long options();

  /** `instruction` is the address of a `syscall` in the task's vdso. The task must have been seized or auto-attached. */
  [[nodiscard]] static Result<Stub> take(Tracee tracee, uint64_t instruction, ScratchPage scratch);

  [[nodiscard]] pid_t tid() const { return tracee_.tid(); }
  [[nodiscard]] Tracee& tracee() { return tracee_; }
  [[nodiscard]] uint64_t instruction() const { return instruction_; }
  [[nodiscard]] ScratchPage scratch() const { return scratch_; }
  void moveInstruction(uint64_t address) { instruction_ = address; }

  /** A system call; a failure becomes an Error with its errno that names the task and `what`. Forgets what put() stored. */
  [[nodiscard]] Result<uint64_t> call(const std::string& what, long number, std::array<uint64_t, 6> arguments = {});

  /** As call(), giving -errno as a value; fails only when the task is gone. */
  [[nodiscard]] Result<long> attempt(long number, std::array<uint64_t, 6> arguments = {});

  /** Stores an argument in the scratch page until the next call; returns its address there, aligned to 16. */
  [[nodiscard]] Result<uint64_t> put(std::span<const std::byte> bytes);
  [[nodiscard]] Result<uint64_t> put(const std::string& text);  // with the terminating zero
  template <typename T>
  [[nodiscard]] Result<uint64_t> putObject(const T& object) {
    return put(std::as_bytes(std::span(&object, 1)));
  }

  /** Writes to the task's memory; the area must be writable. EFAULT otherwise. */
  [[nodiscard]] Status write(uint64_t address, std::span<const std::byte> bytes) const;

 private:
  Stub(Tracee tracee, uint64_t instruction, ScratchPage scratch)
      : tracee_(std::move(tracee)), instruction_(instruction), scratch_(scratch) {}
  Tracee tracee_;
  uint64_t instruction_;
  ScratchPage scratch_;
  uint64_t used_ = 0;
};

/** A call whose value says nothing more. */
[[nodiscard]] inline Status done(const Result<uint64_t>& called) { return called.ok() ? Status() : Status(called.error()); }

}  // namespace blcr
