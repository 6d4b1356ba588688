#include "dump/memory/blob_content.h"

#include <unistd.h>

#include <algorithm>

#include "base/io.h"

namespace blcr {

Status findPieces(int fd, uint64_t size, BlobSource& into) {
  for (off_t at = 0; uint64_t(at) < size;) {
    const off_t data = ::lseek(fd, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return {};  // nothing but a hole up to the end
    if (data < 0) {
      takeWhole(size, into);  // a file system that does not tell
      return {};
    }
    const off_t hole = ::lseek(fd, data, SEEK_HOLE);
    if (hole < 0) return systemError("looking for holes");
    const uint64_t end = std::min(uint64_t(hole), size);
    if (uint64_t(data) < end) into.pieces.push_back({uint64_t(data), end - uint64_t(data), {}});
    at = hole;
  }
  return {};
}

void takeWhole(uint64_t size, BlobSource& into) {
  into.pieces.clear();
  if (size > 0) into.pieces.push_back({0, size, {}});
}

uint64_t contentLength(const BlobSource& source) {
  uint64_t total = 0;
  for (const BlobPiece& piece : source.pieces) total += piece.length;
  return total;
}

Status copyPieces(BlobSource& source) {
  for (BlobPiece& piece : source.pieces) {
    piece.data.resize(piece.length);
    const auto got = readUpToAt(source.fd.get(), piece.data, off_t(piece.offset));
    if (!got.ok()) return got.error();
  }
  source.fd.reset();
  return {};
}

}  // namespace blcr
