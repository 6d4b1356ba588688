#include "copy_file.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/io.h"

namespace blcr {

namespace {

/** One stretch of data by read and write; what every file system can do. */
Status copyByHand(int source, int target, off_t from, off_t end) {
  std::vector<std::byte> buffer(1024 * 1024);
  while (from < end) {
    const size_t wanted = std::min(buffer.size(), size_t(end - from));
    auto got = readUpToAt(source, std::span(buffer).first(wanted), from);
    if (!got) return got.error();
    if (*got == 0) return {};  // cut meanwhile: ftruncate fills up
    if (::lseek(target, from, SEEK_SET) < 0) return systemError("seek");
    BLCR_TRY(writeFull(target, std::span(buffer).first(*got)));
    from += off_t(*got);
  }
  return {};
}

Status copyStretch(int source, int target, off_t from, off_t end) {
  while (from < end) {
    off_t input = from, output = from;
    const ssize_t copied = ::copy_file_range(source, &input, target, &output, size_t(end - from), 0);
    if (copied < 0 && errno == EINTR) continue;
    if (copied < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG)) return systemError("copy");
    // Anything else (EXDEV, EINVAL, EOPNOTSUPP, ENOSYS), or nothing copied, means: not in this way.
    if (copied <= 0) return copyByHand(source, target, from, end);
    from += copied;
  }
  return {};
}

}  // namespace

Status copyFile(int source, int target, uint64_t size) {
  const off_t length = off_t(size);
  if (size > 0 && ::ioctl(target, FICLONE, source) == 0) {
    return ::ftruncate(target, length) == 0 ? Status() : Status(systemError("truncate"));
  }
  for (off_t at = 0; at < length;) {
    const off_t data = ::lseek(source, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // only a hole is left
    const off_t hole = data < 0 ? length : ::lseek(source, data, SEEK_HOLE);
    const off_t from = data < 0 ? at : data;  // a file system without holes
    const off_t end = hole < 0 ? length : std::min(hole, length);
    if (from >= length) break;
    BLCR_TRY(copyStretch(source, target, from, end));
    at = end;
  }
  return ::ftruncate(target, length) == 0 ? Status() : Status(systemError("truncate"));
}

}  // namespace blcr
