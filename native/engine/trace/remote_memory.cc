#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <utility>

#include "base/features.h"
#include "trace/tracee.h"

namespace blcr {

RemoteMemory::RemoteMemory(RemoteMemory&& other) noexcept : pid_(other.pid_), mem_(std::exchange(other.mem_, -1)) {}

RemoteMemory::~RemoteMemory() {
  if (mem_ >= 0) ::close(mem_);
}

Status RemoteMemory::openMem() const {
  if (mem_ >= 0) return {};
  const std::string path = "/proc/" + std::to_string(pid_) + "/mem";
  mem_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (mem_ < 0) return systemError(path);
  return {};
}

Status RemoteMemory::read(uint64_t address, std::span<std::byte> into) const {
  const bool direct = featureAllowed("process_vm");
  while (!into.empty()) {
    ssize_t count = -1;
    if (direct) {
      iovec local{into.data(), into.size()};
      iovec remote{reinterpret_cast<void*>(address), into.size()};
      count = ::process_vm_readv(pid_, &local, 1, &remote, 1, 0);
      if (count < 0 && errno == ESRCH) return systemError("memory of process " + std::to_string(pid_));
    }
    if (count <= 0) {
      BLCR_TRY(openMem());
      // PROT_NONE and exec-only areas: /proc/PID/mem ignores protection. One page, then the fast way is tried again.
      const size_t size = std::min<size_t>(into.size(), direct ? 4096 - (address & 4095) : into.size());
      count = ::pread(mem_, into.data(), size, off_t(address));
      if (count <= 0) {
        if (count == 0) errno = ESRCH;
        return systemError("memory of process " + std::to_string(pid_) + " at " + std::to_string(address));
      }
    }
    address += uint64_t(count);
    into = into.subspan(size_t(count));
  }
  return {};
}

Status RemoteMemory::write(uint64_t address, std::span<const std::byte> from) const {
  const bool direct = featureAllowed("process_vm");
  while (!from.empty()) {
    ssize_t count = -1;
    if (direct) {
      iovec local{const_cast<std::byte*>(from.data()), from.size()};
      iovec remote{reinterpret_cast<void*>(address), from.size()};
      count = ::process_vm_writev(pid_, &local, 1, &remote, 1, 0);
      if (count < 0 && errno == ESRCH) return systemError("memory of process " + std::to_string(pid_));
    }
    if (count <= 0) {
      BLCR_TRY(openMem());
      const size_t size = std::min<size_t>(from.size(), direct ? 4096 - (address & 4095) : from.size());
      count = ::pwrite(mem_, from.data(), size, off_t(address));
      if (count <= 0) {
        if (count == 0) errno = ESRCH;
        return systemError("memory of process " + std::to_string(pid_) + " at " + std::to_string(address));
      }
    }
    address += uint64_t(count);
    from = from.subspan(size_t(count));
  }
  return {};
}

}  // namespace blcr
