#include "base/io.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <array>

#include "base/unique_fd.h"

namespace blcr {
namespace {

/** After a failed call: true when it should be repeated (interrupted, or a non-blocking descriptor became ready). */
bool shouldRepeat(int fd, short events) {
  if (errno == EINTR) return true;
  if (errno != EAGAIN) return false;
  pollfd entry{fd, events, 0};
  return ::poll(&entry, 1, -1) >= 0 || errno == EINTR;
}

template <typename Call>
Result<size_t> fill(int fd, std::span<std::byte> into, Call call) {
  size_t done = 0;
  while (done < into.size()) {
    const ssize_t count = call(into.data() + done, into.size() - done, off_t(done));
    if (count == 0) break;
    if (count > 0) {
      done += size_t(count);
    } else if (!shouldRepeat(fd, POLLIN)) {
      return systemError("read");
    }
  }
  return done;
}

}  // namespace

Result<size_t> readUpTo(int fd, std::span<std::byte> into) {
  return fill(fd, into, [fd](std::byte* at, size_t size, off_t) { return ::read(fd, at, size); });
}

Status readFull(int fd, std::span<std::byte> into) {
  auto count = readUpTo(fd, into);
  if (!count) return count.error();
  if (*count != into.size()) return Error{EIO, "read: unexpected end of file"};
  return {};
}

Result<size_t> readUpToAt(int fd, std::span<std::byte> into, off_t offset) {
  return fill(fd, into, [fd, offset](std::byte* at, size_t size, off_t done) { return ::pread(fd, at, size, offset + done); });
}

Status writeFull(int fd, std::span<const std::byte> from) {
  while (!from.empty()) {
    const ssize_t count = ::write(fd, from.data(), from.size());
    if (count >= 0) {
      from = from.subspan(size_t(count));
    } else if (!shouldRepeat(fd, POLLOUT)) {
      return systemError("write");
    }
  }
  return {};
}

Result<std::string> readFile(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return systemError(path);
  std::string text;
  std::array<char, 16384> buffer;
  while (true) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return systemError(path);
    if (count == 0) return text;
    text.append(buffer.data(), size_t(count));
  }
}

Result<std::string> readLink(const std::string& path) {
  char buffer[PATH_MAX];
  const ssize_t count = ::readlink(path.c_str(), buffer, sizeof buffer);
  if (count < 0) return systemError(path);
  return std::string(buffer, size_t(count));
}

std::string descriptorPath(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

std::string pathFrom(const std::string& directory, const std::string& path) {
  return path.starts_with('/') ? path : directory + "/" + path;
}

}  // namespace blcr
