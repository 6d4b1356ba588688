// What is appended to the launcher to make one executable of it: compressed chunks, an index, and a footer by which the index is found.
// Made by pack.cc and read by the same build's launcher only, so there is no older version to understand; little-endian like everything on
// x86_64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"

namespace blcr::launcher {

/** Chunks are independent zstd frames with checksums, so that several threads can unpack one file. */
inline constexpr uint32_t kChunkSize = 4u << 20;
inline constexpr char kMagic[8] = {'B', 'L', 'C', 'R', 'P', 'A', 'C', 'K'};
inline constexpr size_t kNameSize = 24;

/** One packed file; its chunks follow each other in the index. */
struct FileEntry {
  char name[kNameSize];
  uint64_t size;
  uint32_t firstChunk;
  uint32_t chunkCount;
};
static_assert(sizeof(FileEntry) == 40);

struct ChunkEntry {
  uint64_t offset;  // from the start of the executable
  uint32_t packedSize;
  uint32_t size;
};
static_assert(sizeof(ChunkEntry) == 16);

/** The last bytes of the executable. `executableSize` tells a complete file from one that was cut or continued. */
struct Footer {
  uint64_t executableSize;
  uint64_t indexOffset;  // files, then chunks
  uint32_t fileCount;
  uint32_t chunkCount;
  char magic[8];
};
static_assert(sizeof(Footer) == 32);

/** The executable, mapped. */
struct Payload {
  std::span<const std::byte> executable;
  std::span<const FileEntry> files;
  std::span<const ChunkEntry> chunks;

  /** The file of that name; null when there is none. */
  [[nodiscard]] const FileEntry* find(const char* name) const;
};

/** Maps the payload of the executable `path`. The mapping stays until the process ends or executes. */
Result<Payload> mapPayload(const char* path);

/** Writes `file` to the empty file `into`, whose size becomes the file's. Uses the processors that this process may use. */
Status unpackFile(const Payload& payload, const FileEntry& file, int into);

}  // namespace blcr::launcher
