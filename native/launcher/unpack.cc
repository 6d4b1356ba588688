#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <atomic>
#include <memory>

#include "payload.h"

namespace blcr::launcher {

namespace {

constexpr int kMostThreads = 4;
constexpr size_t kStackSize = 256 * 1024;  // whatever the stack limit is, which batch systems like to make infinite

/** What the threads share. */
struct Work {
  const Payload& payload;
  std::span<const ChunkEntry> chunks;
  int into;
  std::atomic<size_t> next = 0;
  std::atomic<int> error = 0;  // errno of the first failure
};

bool writeAt(int fd, const char* bytes, size_t size, off_t at) {
  for (size_t done = 0; done < size;) {
    const ssize_t written = ::pwrite(fd, bytes + done, size - done, at + static_cast<off_t>(done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    done += static_cast<size_t>(written);
  }
  return true;
}

/** Errno of the failure, 0 for success. */
int unpackChunk(const Work& work, size_t index, ZSTD_DCtx* context, char* buffer) {
  const ChunkEntry& chunk = work.chunks[index];
  const std::byte* const packed = work.payload.executable.data() + chunk.offset;
  if (ZSTD_decompressDCtx(context, buffer, chunk.size, packed, chunk.packedSize) != chunk.size) return EBADMSG;
  return writeAt(work.into, buffer, chunk.size, static_cast<off_t>(index * kChunkSize)) ? 0 : errno;
}

void* unpackChunks(void* argument) {
  auto& work = *static_cast<Work*>(argument);
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  const std::unique_ptr<char[]> buffer(new char[kChunkSize]);
  for (size_t index = work.next++; index < work.chunks.size() && work.error == 0; index = work.next++) {
    const int error = unpackChunk(work, index, context.get(), buffer.get());
    int none = 0;
    if (error != 0) work.error.compare_exchange_strong(none, error);
  }
  return nullptr;
}

int allowedProcessors() {
  cpu_set_t set;
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

}  // namespace

Status unpackFile(const Payload& payload, const FileEntry& file, int into) {
  if (::ftruncate(into, static_cast<off_t>(file.size)) != 0) return systemError("make a file");
  Work work{payload, payload.chunks.subspan(file.firstChunk, file.chunkCount), into};
  const int wanted = std::min({kMostThreads, allowedProcessors(), static_cast<int>(file.chunkCount)}) - 1;
  pthread_t threads[kMostThreads];
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kStackSize);
  int started = 0;
  // A limit on processes may forbid threads: this one does the rest.
  while (started < wanted && ::pthread_create(&threads[started], &attributes, unpackChunks, &work) == 0) ++started;
  ::pthread_attr_destroy(&attributes);
  unpackChunks(&work);
  for (int index = 0; index < started; ++index) ::pthread_join(threads[index], nullptr);
  if (work.error == 0) return {};
  errno = work.error;
  return work.error == EBADMSG ? Status(Error{EBADMSG, "this file is damaged: a checksum is wrong"}) : Status(systemError("write"));
}

}  // namespace blcr::launcher
