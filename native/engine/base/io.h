// Whole reads and writes: EINTR and short counts are dealt with here and nowhere else.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"

namespace blcr {

/** Reads until `into` is full or the end of the file; returns the number of bytes read. Non-blocking descriptors are waited for. */
[[nodiscard]] Result<size_t> readUpTo(int fd, std::span<std::byte> into);

/** As readUpTo; EIO when the file ends early. */
[[nodiscard]] Status readFull(int fd, std::span<std::byte> into);

/** As readUpTo at a position (pread). */
[[nodiscard]] Result<size_t> readUpToAt(int fd, std::span<std::byte> into, off_t offset);

/** Writes everything. Non-blocking descriptors are waited for. EPIPE is an error, never a signal, when SIGPIPE is blocked or ignored. */
[[nodiscard]] Status writeFull(int fd, std::span<const std::byte> from);

/** A whole small file, such as one of /proc. ENOENT, EACCES, ESRCH as the kernel gives them; the detail names the path. */
[[nodiscard]] Result<std::string> readFile(const std::string& path);

/** Target of a symbolic link. */
[[nodiscard]] Result<std::string> readLink(const std::string& path);

/** A path that opens once more what descriptor `fd` of this process stands for. Source: proc(5), /proc/PID/fd. */
[[nodiscard]] std::string descriptorPath(int fd);

/** `path` as it is understood in `directory`. */
[[nodiscard]] std::string pathFrom(const std::string& directory, const std::string& path);

}  // namespace blcr
