#include "payload.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "base/unique_fd.h"

namespace blcr::launcher {

namespace {

Error damaged(const char* what) { return Error{EBADMSG, std::string("this file is damaged or incomplete: ") + what}; }

bool isInside(const Payload& payload, const FileEntry& file) {
  if (file.name[kNameSize - 1] != '\0') return false;
  if (file.firstChunk > payload.chunks.size() || file.chunkCount > payload.chunks.size() - file.firstChunk) return false;
  uint64_t size = 0;
  for (const ChunkEntry& chunk : payload.chunks.subspan(file.firstChunk, file.chunkCount)) {
    const bool isLast = &chunk == &payload.chunks[file.firstChunk + file.chunkCount - 1];
    if (chunk.size > kChunkSize || (!isLast && chunk.size != kChunkSize)) return false;
    if (chunk.offset > payload.executable.size() || chunk.packedSize > payload.executable.size() - chunk.offset) return false;
    size += chunk.size;
  }
  return size == file.size;
}

}  // namespace

const FileEntry* Payload::find(const char* name) const {
  const auto found = std::find_if(files.begin(), files.end(), [name](const FileEntry& file) { return std::strcmp(file.name, name) == 0; });
  return found == files.end() ? nullptr : &*found;
}

Result<Payload> mapPayload(const char* path) {
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return systemError(std::string("open ") + path);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return systemError(path);
  const auto size = static_cast<size_t>(status.st_size);
  if (size < sizeof(Footer)) return damaged("it is too short");
  void* const base = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (base == MAP_FAILED) return systemError(std::string("map ") + path);
  const auto* const bytes = static_cast<const std::byte*>(base);

  Footer footer;
  std::memcpy(&footer, bytes + size - sizeof footer, sizeof footer);
  if (std::memcmp(footer.magic, kMagic, sizeof kMagic) != 0 || footer.executableSize != size) return damaged("its end is missing");
  const uint64_t indexSize = uint64_t{footer.fileCount} * sizeof(FileEntry) + uint64_t{footer.chunkCount} * sizeof(ChunkEntry);
  if (footer.indexOffset % alignof(FileEntry) != 0 || footer.indexOffset > size || indexSize > size - footer.indexOffset)
    return damaged("its index is wrong");
  Payload payload;
  payload.executable = {bytes, size};
  payload.files = {reinterpret_cast<const FileEntry*>(bytes + footer.indexOffset), footer.fileCount};
  payload.chunks = {reinterpret_cast<const ChunkEntry*>(payload.files.data() + footer.fileCount), footer.chunkCount};
  if (!std::ranges::all_of(payload.files, [&](const FileEntry& file) { return isInside(payload, file); }))
    return damaged("its index is wrong");
  return payload;
}

}  // namespace blcr::launcher
