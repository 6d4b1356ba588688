#include "restore/tasks/stub.h"

#include <sys/ptrace.h>
#include <sys/uio.h>

namespace blcr {

unsigned long Stub::options() { return PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL; }

Result<Stub> Stub::take(Tracee tracee, uint64_t instruction, ScratchPage scratch) {
  BLCR_TRY(tracee.waitStop(-1));
  BLCR_TRY(tracee.setOptions(options()));
  BLCR_TRY(tracee.setSignalMask(~0ull));
  return Stub(std::move(tracee), instruction, scratch);
}

Result<long> Stub::attempt(long number, std::array<uint64_t, 6> arguments) {
  used_ = 0;
  return tracee_.inject(instruction_, number, arguments);
}

Result<uint64_t> Stub::call(const std::string& what, long number, std::array<uint64_t, 6> arguments) {
  const auto result = attempt(number, arguments);
  if (!result.ok()) return result.error();
  if (result.value() < 0 && result.value() >= -4095) {
    errno = int(-result.value());
    return systemError("task " + std::to_string(tid()) + ": " + what);
  }
  return uint64_t(result.value());
}

Result<uint64_t> Stub::put(std::span<const std::byte> bytes) {
  if (used_ + bytes.size() > ScratchPage::kDataSize) return Error{E2BIG, "task " + std::to_string(tid()) + ": arguments too long"};
  const uint64_t address = scratch_.address + used_;
  BLCR_TRY(write(address, bytes));
  used_ += (bytes.size() + 15) / 16 * 16;
  return address;
}

Result<uint64_t> Stub::put(const std::string& text) { return put(std::as_bytes(std::span(text.c_str(), text.size() + 1))); }

Status Stub::write(uint64_t address, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    iovec local{const_cast<std::byte*>(bytes.data()), bytes.size()};
    iovec remote{reinterpret_cast<void*>(address), bytes.size()};
    const ssize_t count = ::process_vm_writev(tracee_.tid(), &local, 1, &remote, 1, 0);
    if (count <= 0) return systemError("task " + std::to_string(tracee_.tid()) + ": writing its memory");
    address += uint64_t(count);
    bytes = bytes.subspan(size_t(count));
  }
  return {};
}

}  // namespace blcr
