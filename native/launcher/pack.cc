// Makes one executable of the launcher and the files it is to unpack. Part of the build (scripts/build-wrapper.mjs), never shipped.
#include <sys/stat.h>
#include <zstd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "payload.h"

namespace blcr::launcher {

namespace {

using Bytes = std::vector<char>;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "blcr-pack: %s\n", what.c_str());
  std::exit(1);
}

Bytes readWhole(const std::string& path) {
  std::ifstream input(path, std::ios::binary);
  if (!input) fail(path + " cannot be read");
  return Bytes(std::istreambuf_iterator<char>(input), {});
}

Bytes compress(const char* data, size_t size, int level) {
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  Bytes packed(ZSTD_compressBound(size));
  const size_t length = ZSTD_compress2(context, packed.data(), packed.size(), data, size);
  ZSTD_freeCCtx(context);
  if (ZSTD_isError(length)) fail(ZSTD_getErrorName(length));
  packed.resize(length);
  return packed;
}

std::vector<Bytes> compressChunks(const Bytes& file, int level) {
  std::vector<Bytes> chunks((file.size() + kChunkSize - 1) / kChunkSize);
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t index = next++; index < chunks.size(); index = next++) {
      const size_t at = index * kChunkSize;
      chunks[index] = compress(file.data() + at, std::min<size_t>(kChunkSize, file.size() - at), level);
    }
  };
  std::thread other(work);
  work();
  other.join();
  return chunks;
}

template <typename T>
void append(Bytes& bytes, const T* items, size_t count) {
  const auto* const start = reinterpret_cast<const char*>(items);
  bytes.insert(bytes.end(), start, start + count * sizeof(T));
}

/** Appends one `name=path` to the output and to the index. */
void addFile(const std::string& argument, int level, Bytes& output, std::vector<FileEntry>& files, std::vector<ChunkEntry>& chunks) {
  const size_t equals = argument.find('=');
  if (equals == std::string::npos || equals >= kNameSize) fail("not of the form name=path: " + argument);
  const Bytes content = readWhole(argument.substr(equals + 1));
  FileEntry entry{};
  std::memcpy(entry.name, argument.data(), equals);
  entry.size = content.size();
  entry.firstChunk = static_cast<uint32_t>(chunks.size());
  for (const Bytes& packed : compressChunks(content, level)) {
    const size_t rest = content.size() - (chunks.size() - entry.firstChunk) * kChunkSize;
    chunks.push_back({output.size(), static_cast<uint32_t>(packed.size()), static_cast<uint32_t>(std::min<size_t>(kChunkSize, rest))});
    append(output, packed.data(), packed.size());
  }
  entry.chunkCount = static_cast<uint32_t>(chunks.size()) - entry.firstChunk;
  files.push_back(entry);
}

int pack(int argc, char** argv) {
  if (argc < 5) fail("usage: blcr-pack LAUNCHER OUTPUT LEVEL NAME=FILE...");
  Bytes output = readWhole(argv[1]);
  std::vector<FileEntry> files;
  std::vector<ChunkEntry> chunks;
  for (int index = 4; index < argc; ++index) addFile(argv[index], std::atoi(argv[3]), output, files, chunks);
  output.resize((output.size() + alignof(FileEntry) - 1) / alignof(FileEntry) * alignof(FileEntry));
  Footer footer{};
  footer.indexOffset = output.size();
  footer.fileCount = static_cast<uint32_t>(files.size());
  footer.chunkCount = static_cast<uint32_t>(chunks.size());
  std::memcpy(footer.magic, kMagic, sizeof kMagic);
  append(output, files.data(), files.size());
  append(output, chunks.data(), chunks.size());
  footer.executableSize = output.size() + sizeof footer;
  append(output, &footer, 1);
  std::ofstream(argv[2], std::ios::binary).write(output.data(), static_cast<std::streamsize>(output.size()));
  if (::chmod(argv[2], 0755) != 0) fail(std::string(argv[2]) + " cannot be written");
  return 0;
}

}  // namespace

}  // namespace blcr::launcher

int main(int argc, char** argv) { return blcr::launcher::pack(argc, argv); }
