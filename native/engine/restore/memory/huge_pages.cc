#include "restore/memory/huge_pages.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/io.h"
#include "proc/parse.h"
#include "trace/tracee.h"

namespace blcr {
namespace {

uint64_t poolNumber(const std::string& directory, const char* name) {
  const auto text = readFile(directory + name);
  if (!text) return 0;
  std::string_view rest = text.value();
  return takeNumber(rest, 10).value_or(0);
}

}  // namespace

Error explainHuge(const Error& error, uint8_t shift) {
  if (shift == 0) return error;
  const std::string size = std::to_string((1ull << shift) / 1024) + " kB";
  const std::string pool = "/sys/kernel/mm/hugepages/hugepages-" + std::to_string((1ull << shift) / 1024) + "kB/";
  if (::access(pool.c_str(), F_OK) != 0) return {error.code, error.detail + " (this node has no huge pages of " + size + ")"};
  const uint64_t free = poolNumber(pool, "free_hugepages"), reserved = poolNumber(pool, "resv_hugepages");
  return {error.code,
          error.detail + " (of huge pages of " + size + " " + std::to_string(free - std::min(free, reserved)) + " are free on this node)"};
}

Result<HugeContent> HugeContent::map(int fd, uint64_t size, uint8_t shift) {
  // The job's own mappings have set aside what is to be set aside.
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (at == MAP_FAILED) return explainHuge(systemError("content of shared memory"), shift);
  HugeContent made;
  made.at_ = static_cast<std::byte*>(at);
  made.size_ = size;
  return made;
}

HugeContent::HugeContent(HugeContent&& other) noexcept : at_(std::exchange(other.at_, nullptr)), size_(other.size_) {}

HugeContent::~HugeContent() {
  if (at_ != nullptr) ::munmap(at_, size_);
}

Status writeHuge(std::byte* to, std::span<const std::byte> from, uint8_t shift) {
  const Status written = RemoteMemory(::getpid()).write(reinterpret_cast<uint64_t>(to), from);
  return written ? written : Status(explainHuge(Error{written.error().code, "content of shared memory"}, shift));
}

}  // namespace blcr
