#include <fcntl.h>
#include <limits.h>
#include <sys/uio.h>
#include <unistd.h>

#include <utility>

#include "base/features.h"
#include "trace/tracee.h"

namespace blcr {

RemoteMemory::RemoteMemory(RemoteMemory&& other) noexcept : pid_(other.pid_), way_(other.way_), mem_(std::exchange(other.mem_, -1)) {}

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
  const bool direct = way_ == Way::kFast && featureAllowed("process_vm");
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

Status RemoteMemory::readEach(std::span<const uint64_t> addresses, size_t size, std::byte* into) const {
  while (!addresses.empty()) {
    const auto some = addresses.first(std::min<size_t>(addresses.size(), IOV_MAX));
    std::vector<iovec> remote;
    for (const uint64_t address : some) remote.push_back({reinterpret_cast<void*>(address), size});
    const iovec local{into, some.size() * size};
    const ssize_t count = featureAllowed("process_vm") ? ::process_vm_readv(pid_, &local, 1, remote.data(), remote.size(), 0) : 0;
    const size_t whole = count > 0 ? size_t(count) / size : 0;
    // What could not be had in this way has an error of its own, or another way.
    if (whole < some.size()) BLCR_TRY(read(some[whole], std::span(into + whole * size, size)));
    const size_t done = std::min(whole + 1, some.size());
    addresses = addresses.subspan(done);
    into += done * size;
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
