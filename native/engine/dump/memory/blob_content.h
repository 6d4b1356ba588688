// Content of files that travels with the context.
#pragma once

#include "base/result.h"
#include "dump/recording.h"

namespace blcr {

/** Where the file has content, in order; all else up to `size` are holes. Moves the position of `fd`. */
[[nodiscard]] Status findPieces(int fd, uint64_t size, BlobSource& into);

/** The same as one piece, holes or not. */
void takeWhole(uint64_t size, BlobSource& into);

/** How much is to be read. */
[[nodiscard]] uint64_t contentLength(const BlobSource& source);

/** Copies all pieces and closes the descriptor: the file may change from now on. A file that has become shorter ends in zeros. */
[[nodiscard]] Status copyPieces(BlobSource& source);

}  // namespace blcr
