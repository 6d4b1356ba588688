#include "image/stream.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <thread>

#include "check.h"
#include "libcr.h"

using namespace blcr;
using namespace blcr::image;

namespace {

std::span<const std::byte> bytesOf(const std::string& text) { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }

std::string pagesOf(size_t count, char fill) { return std::string(count * 4096, fill); }

class MemoryFile {
 public:
  MemoryFile() : fd_(memfd_create("stream-test", 0)) {}
  explicit MemoryFile(const std::string& content) : MemoryFile() {
    CHECK(pwrite(fd_, content.data(), content.size(), 0) == ssize_t(content.size()));
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] std::string content() const {
    std::string all(size_t(lseek(fd_, 0, SEEK_END)), '\0');
    CHECK(pread(fd_, all.data(), all.size(), 0) == ssize_t(all.size()));
    lseek(fd_, 0, SEEK_SET);
    return all;
  }

 private:
  int fd_;
};

std::string sampleStream(bool unchecked) {
  const MemoryFile file;
  Writer writer(file.fd(), unchecked);
  const std::string meta(5000, 'm');
  CHECK(writer.head(meta.size()).ok());
  CHECK(writer.meta(meta).ok());
  CHECK(writer.pages(0, 0x7000, bytesOf(pagesOf(2, 'a'))).ok());
  CHECK(writer.pages(kSharedSpace | 1, 0x20000, bytesOf(pagesOf(1, 'b'))).ok());
  CHECK(writer.file(0, 10, bytesOf(std::string(300, 'f'))).ok());
  CHECK(writer.done(0).ok());
  CHECK(writer.same(1, std::vector<SameRange>{{0x7000, 0x8000}, {0xa000, 0xc000}}).ok());
  CHECK(writer.trailer().ok());
  CHECK(writer.bytes() == uint64_t(lseek(file.fd(), 0, SEEK_END)));
  return file.content();
}

/** Reads a whole stream; the error of the first refusal, or code 0. */
Error readAll(const std::string& stream, int* frames = nullptr) {
  const MemoryFile file(stream);
  Reader reader(file.fd());
  if (const auto head = reader.head(); !head.ok()) return head.error();
  if (const auto meta = reader.meta(); !meta.ok()) return meta.error();
  for (;;) {
    const auto frame = reader.next();
    if (!frame.ok()) return frame.error();
    if (frames != nullptr) ++*frames;
    if (frame.value().header.type == FrameType::kTrailer) return Error{0, ""};
  }
}

std::vector<std::string> split(const std::string& stream) {
  std::vector<std::string> frames;
  for (size_t at = 0; at < stream.size();) {
    FrameHeader header;
    std::memcpy(&header, stream.data() + at, sizeof header);
    frames.push_back(stream.substr(at, sizeof header + header.length));
    at += frames.back().size();
  }
  return frames;
}

}  // namespace

TEST(streamIsReadBackInOrder) {
  for (const bool unchecked : {false, true}) {
    int frames = 0;
    CHECK(readAll(sampleStream(unchecked), &frames).code == 0);
    CHECK(frames == 6);
  }
}

TEST(cutsFollowMemoryAddresses) {
  const auto frames = split(sampleStream(false));
  FrameHeader header;
  std::memcpy(&header, frames[2].data(), sizeof header);
  CHECK(header.cut == sizeof(PagePrefix) + (kUnit - 0x7000));
  std::memcpy(&header, frames[3].data(), sizeof header);
  CHECK(header.cut == sizeof(PagePrefix));
}

TEST(truncationAtEveryPositionIsRefused) {
  const std::string stream = sampleStream(false);
  for (size_t length = 0; length < stream.size(); length += length < 200 || length + 200 > stream.size() ? 1 : 37)
    CHECK(readAll(stream.substr(0, length)).code == EIO);
}

TEST(everyFlippedBitIsRefused) {
  const std::string stream = sampleStream(false);
  std::mt19937 generator(3);
  for (size_t bit = 0; bit < stream.size() * 8; bit += bit < 1000 ? 1 : 1 + generator() % 301) {
    std::string damaged = stream;
    damaged[bit / 8] = char(damaged[bit / 8] ^ (1 << bit % 8));
    CHECK(readAll(damaged).code != 0);
  }
}

TEST(lostDoubledAndSwappedFramesAreRefused) {
  const auto frames = split(sampleStream(true));
  for (size_t one = 0; one < frames.size(); ++one) {
    std::string lost, doubled;
    for (size_t at = 0; at < frames.size(); ++at) {
      if (at != one) lost += frames[at];
      doubled += at == one ? frames[at] + frames[at] : frames[at];
    }
    CHECK(readAll(lost).code != 0);
    if (one + 1 < frames.size()) CHECK(readAll(doubled).code != 0);  // what follows the trailer is not read
    for (size_t other = one + 1; other < frames.size(); ++other) {
      auto order = frames;
      std::swap(order[one], order[other]);
      std::string swapped;
      for (const auto& frame : order) swapped += frame;
      CHECK(readAll(swapped).code != 0);
    }
  }
}

TEST(foreignFilesAndOtherVersionsHaveTheirOwnErrors) {
  CHECK(readAll("#!/bin/sh\necho this is no context\n" + std::string(100, ' ')).detail.find("not a context") == 0);
  CHECK(readAll("").code == EIO);
  const MemoryFile file;
  Writer writer(file.fd(), false);
  CHECK(writer.pages(0, 1, bytesOf(pagesOf(1, 'a'))).error().code == EINVAL);
  CHECK(writer.pages(0, kWindow - 4096, bytesOf(pagesOf(2, 'a'))).error().code == EINVAL);
}

TEST(brokenPipeIsAnErrorAndNoSignal) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  close(ends[0]);
  signal(SIGPIPE, SIG_DFL);  // it would end this program
  Writer writer(ends[1], false);
  const Status status = writer.head(5);
  CHECK(status.error().code == EPIPE);
  sigset_t pending;
  sigpending(&pending);
  CHECK(sigismember(&pending, SIGPIPE) == 0);
  close(ends[1]);
}

TEST(nonBlockingPipesAreWaitedFor) {
  int ends[2];
  CHECK(pipe2(ends, O_NONBLOCK) == 0);
  const std::string data = pagesOf(256, 'p');
  std::thread feeder([&] {
    Writer writer(ends[1], false);
    CHECK(writer.head(3).ok());
    CHECK(writer.meta("abc").ok());
    for (uint64_t at = 0; at < 4; ++at) CHECK(writer.pages(0, at * kWindow, bytesOf(data)).ok());
    CHECK(writer.trailer().ok());
    close(ends[1]);
  });
  Reader reader(ends[0]);
  CHECK(reader.head().ok());
  CHECK(reader.meta().value() == "abc");
  int pages = 0;
  for (auto frame = reader.next(); frame.ok() && frame->header.type == FrameType::kPage; frame = reader.next()) ++pages;
  CHECK(pages == 4);
  feeder.join();
  close(ends[0]);
}

CHECK_MAIN
