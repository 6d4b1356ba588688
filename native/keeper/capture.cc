#include "capture.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include <memory>

#include "base/clock.h"
#include "base/io.h"
#include "copy_file.h"

namespace blcr {

namespace {

constexpr int kMaxDepth = 200;  // one descriptor each

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

/** A stream over a directory that leaves `fd` itself alone. */
Result<Directory> openStream(int fd, const std::string& what) {
  const int own = ::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (own < 0) return systemError(what);
  Directory stream(::fdopendir(own), ::closedir);
  if (!stream) {
    ::close(own);
    return systemError(what);
  }
  return stream;
}

IndexEntry describe(const struct stat& status, std::string path) {
  IndexEntry entry;
  entry.kind = S_ISDIR(status.st_mode) ? 'd' : S_ISLNK(status.st_mode) ? 'l' : 'f';
  entry.mode = status.st_mode & 07777;
  entry.size = S_ISDIR(status.st_mode) ? 0 : uint64_t(status.st_size);
  entry.mtimeNs = int64_t(status.st_mtim.tv_sec) * 1000000000 + status.st_mtim.tv_nsec;
  entry.inode = status.st_ino;
  entry.path = std::move(path);
  return entry;
}

}  // namespace

Status Capture::prepare() {
  if (request_.baseline) BLCR_TRY(readBaseline());
  struct stat into{};
  if (::fstat(request_.into.get(), &into) != 0) return systemError("capture: the directory of the copies");
  into_ = {into.st_dev, into.st_ino};
  return {};
}

Status Capture::run(Log& log) {
  const int64_t start = nowNs();
  found_.clear();
  found_.reserve(baseline_.size() + 64);
  BLCR_TRY(walk(request_.root.get(), "", log));
  BLCR_TRY(copyExtra());
  result_.microseconds = microsecondsSince(start);
  return {};
}

Status Capture::writeIndex() const {
  if (!request_.into) return {};
  std::string lines;
  for (const IndexEntry& entry : found_) lines += formatIndexLine(entry);
  const UniqueFd file(::openat(request_.into.get(), ".index", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return systemError("capture: .index");
  if (const Status written = writeFull(file.get(), std::as_bytes(std::span(lines))); !written) {
    return Error{written.error().code, "capture: .index: " + written.error().detail};
  }
  return {};
}

Status Capture::readBaseline() {
  std::string text;
  char buffer[64 * 1024];
  ssize_t length = 0;
  while ((length = ::read(request_.baseline.get(), buffer, sizeof buffer)) != 0) {
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return systemError("capture: baseline");
    text.append(buffer, size_t(length));
  }
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    auto entry = parseIndexLine(std::string_view(text).substr(at, end - at));
    if (!entry) return Error{EINVAL, "capture: baseline: " + entry.error().detail};
    std::string path = entry->path;
    baseline_.insert_or_assign(std::move(path), *std::move(entry));
    at = end + 1;
  }
  return {};
}

Status Capture::walk(int directory, const std::string& prefix, Log& log) {
  if (++depth_ > kMaxDepth) return Error{ELOOP, "capture: directories are nested too deeply: " + prefix};
  auto stream = openStream(directory, "capture: " + (prefix.empty() ? "the root" : prefix));
  if (!stream) return stream.error();
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(stream->get());
    if (entry == nullptr && errno != 0) return systemError("capture: " + prefix);
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    BLCR_TRY(visit(directory, prefix, entry->d_name, log));
  }
  --depth_;
  return {};
}

Status Capture::visit(int directory, const std::string& prefix, const char* name, Log& log) {
  const std::string path = prefix + name;
  const auto before = baseline_.find(path);
  if (before != baseline_.end() && before->second.kind == 'x') return {};
  struct stat status{};
  if (::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? Status() : Status(systemError("capture: " + path));
  }
  if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode) && !S_ISLNK(status.st_mode)) {
    log.line("capture: " + path + " is no file, directory or symbolic link and was left out");
    return {};
  }
  if (into_ == std::pair(status.st_dev, status.st_ino)) return {};
  IndexEntry entry = describe(status, path);
  const bool changed = before == baseline_.end() || !before->second.sameAs(entry);
  if (changed && entry.kind == 'd') BLCR_TRY(makeDirectory(path));
  if (changed && entry.kind == 'l') BLCR_TRY(copyLink(directory, name, entry));
  if (changed && entry.kind == 'f') BLCR_TRY(copyRegular(directory, name, entry));
  const bool isDirectory = entry.kind == 'd';
  if (isDirectory) entry.copied = changed;
  found_.push_back(std::move(entry));
  if (!isDirectory) return {};
  const UniqueFd inner(::openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!inner) return errno == ENOENT ? Status() : Status(systemError("capture: " + path));
  return walk(inner.get(), path + "/", log);
}

Status Capture::copyRegular(int directory, const char* name, IndexEntry& entry) {
  // O_NONBLOCK: should the file have become a FIFO meanwhile, opening it must not wait for a writer.
  const UniqueFd source(::openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!source) return errno == ENOENT ? Status() : Status(systemError("capture: " + entry.path));
  BLCR_TRY(ensureParents(entry.path));
  BLCR_TRY(copyInto(source.get(), entry.path, entry.size));
  entry.copied = true;
  return {};
}

Status Capture::copyLink(int directory, const char* name, IndexEntry& entry) {
  std::string target(PATH_MAX, '\0');
  const ssize_t length = ::readlinkat(directory, name, target.data(), target.size());
  if (length < 0) return errno == ENOENT ? Status() : Status(systemError("capture: " + entry.path));
  target.resize(size_t(length));
  BLCR_TRY(ensureParents(entry.path));
  if (::symlinkat(target.c_str(), request_.into.get(), entry.path.c_str()) != 0) return systemError("capture: copy of " + entry.path);
  entry.copied = true;
  ++result_.files;
  return {};
}

Status Capture::ensureParents(const std::string& path) {
  for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    BLCR_TRY(makeDirectory(path.substr(0, slash)));
  }
  return {};
}

Status Capture::makeDirectory(const std::string& path) {
  if (made_.contains(path)) return {};
  BLCR_TRY(ensureParents(path));
  if (::mkdirat(request_.into.get(), path.c_str(), 0700) != 0) return systemError("capture: copy of " + path);
  made_.emplace(path, true);
  return {};
}

Status Capture::copyExtra() {
  for (size_t number = 0; number < request_.extra.size(); ++number) {
    const std::string name = ".extra-" + std::to_string(number);
    struct stat status{};
    if (::fstat(request_.extra[number].get(), &status) != 0) return systemError("capture: " + name);
    if (!S_ISREG(status.st_mode)) return Error{EINVAL, "capture: extra file " + std::to_string(number) + " is not a regular file"};
    BLCR_TRY(copyInto(request_.extra[number].get(), name, uint64_t(status.st_size)));
  }
  return {};
}

Status Capture::copyInto(int source, const std::string& target, uint64_t size) {
  const UniqueFd copy(::openat(request_.into.get(), target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!copy) return systemError("capture: copy of " + target);
  if (const Status copied = copyFile(source, copy.get(), size); !copied) {
    return Error{copied.error().code, "capture: copy of " + target + ": " + copied.error().detail};
  }
  ++result_.files;
  result_.bytes += size;
  return {};
}

}  // namespace blcr
