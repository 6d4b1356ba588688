// The way out of a function of the vdso, as the unwind tables in its image tell.
#pragma once

#include <sys/user.h>

#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "trace/tracee.h"

namespace blcr {

/** Where the frame of a function lies at one of its instructions: its end (the CFA) is `offset` beyond rsp, or beyond rbp. */
struct CallFrame {
  bool fromBasePointer = false;
  int64_t offset = 0;
  std::optional<int64_t> savedBasePointer;  // where the caller's rbp is, from the end of the frame; unset = still in rbp
};

/**
 * The frame of the function at `offset` of `image`, before the instruction there. ENOTSUP where the tables say it in a way that compilers
 * do not use for such functions, or are malformed. Source: Linux Standard Base, .eh_frame and .eh_frame_hdr; DWARF 5, 6.4.
 */
[[nodiscard]] Result<CallFrame> callFrame(std::span<const std::byte> image, uint64_t offset);

/** The word of a stack that holds the address to which the vdso will return, and that address. */
struct WayOut {
  uint64_t slot = 0, target = 0;
};

/**
 * Of a stopped task with `regs`, rip being inside the vdso [start, end). Also through functions that the vdso calls itself. ENOTSUP as
 * above, and when what it finds is no address behind a call.
 */
[[nodiscard]] Result<WayOut> wayOut(const RemoteMemory& memory, uint64_t start, uint64_t end, const user_regs_struct& regs);

}  // namespace blcr
