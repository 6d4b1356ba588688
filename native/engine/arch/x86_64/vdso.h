// The vdso of a process: where its `syscall` instruction is, and what makes two vdsos interchangeable.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "trace/tracee.h"

namespace blcr {

/** Offset of a `syscall` instruction (0f 05) in the executable part of a vdso image; ENOENT when there is none or the ELF is malformed.
 * Every x86_64 vdso has one in the fall-back of clock_gettime. */
[[nodiscard]] Result<uint64_t> findSyscall(std::span<const std::byte> image);

/** Address of a `syscall` instruction in the vdso [start, end) of a process. */
[[nodiscard]] Result<uint64_t> findSyscall(const RemoteMemory& memory, uint64_t start, uint64_t end);

}  // namespace blcr
