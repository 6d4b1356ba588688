// The frames of a context, read from a descriptor.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "image/crc32c.h"
#include "image/stream.h"
#include "target.h"

using namespace blcr;
using namespace blcr::image;

namespace {

/** An anonymous file, gone with the scope. */
class Scratch {
 public:
  Scratch() : fd_(memfd_create("fuzz-stream", MFD_CLOEXEC)) {}
  ~Scratch() { close(fd_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

std::string sample(bool pagesUnchecked) {
  const Scratch file;
  Writer writer(file.fd(), pagesUnchecked);
  const std::string meta(300, 'm'), page(8192, 'p'), content(100, 'f');
  const auto bytes = [](const std::string& text) { return std::as_bytes(std::span(text)); };
  const bool isWritten = writer.head(meta.size()).ok() && writer.meta(meta).ok() && writer.pages(0, 0x7000, bytes(page)).ok() &&
                         writer.done(0).ok() && writer.same(1, std::vector<SameRange>{{0x7000, 0x8000}}).ok() &&
                         writer.file(0, 10, bytes(content)).ok() && writer.trailer().ok();
  std::string all(isWritten ? writer.bytes() : 0, '\0');
  if (pread(file.fd(), all.data(), all.size(), 0) != ssize_t(all.size())) all.clear();
  return all;
}

}  // namespace

std::vector<std::string> fuzzSeeds() { return {sample(false), sample(true)}; }

/** Walks the frames as far as they go and puts the checksums right, those of the trailer included. */
void fuzzRepair(std::string& input) {
  uint32_t chain = 0;
  uint64_t frames = 0;
  for (size_t at = 0; at + sizeof(FrameHeader) <= input.size(); ++frames) {
    FrameHeader header;
    std::memcpy(&header, input.data() + at, sizeof header);
    char* payload = input.data() + at + sizeof header;
    const size_t length = std::min<size_t>(header.length, input.size() - at - sizeof header);
    if (header.type == FrameType::kTrailer && length == sizeof(TrailerPayload)) {
      const TrailerPayload trailer{.frames = frames, .bytes = at, .chain = chain, .reserved = 0};
      std::memcpy(payload, &trailer, sizeof trailer);
    }
    header.crc = crc32c(0, payload, length);
    std::memcpy(input.data() + at, &header, sizeof header);
    chain = crc32c(chain, &header, sizeof header);
    at += sizeof header + length;
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Scratch file;
  if (pwrite(file.fd(), data, size, 0) != ssize_t(size)) return 0;
  Reader reader(file.fd());
  if (!reader.head().ok() || !reader.meta().ok()) return 0;
  for (auto frame = reader.next(); frame.ok(); frame = reader.next()) {
    if (frame.value().header.type == FrameType::kTrailer) break;
    uint8_t sum = 0;  // every byte that is handed out may be read
    for (const std::byte byte : frame.value().payload) sum = uint8_t(sum + uint8_t(byte));
    asm volatile("" : : "r"(sum));
  }
  return 0;
}
