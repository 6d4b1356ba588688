#include "restore/mounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "base/unique_fd.h"
#include "proc/parse.h"

namespace blcr {
namespace {

Status bind(const std::string& from, const std::string& over) {
  if (::mount(from.c_str(), over.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
    return systemError("bind mount of " + from + " over " + over);
  return {};
}

bool exists(const std::string& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0;
}

std::string parentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

Status makeDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return systemError("mount point " + path);
  return {};
}

/** Every missing component of `path`. */
Status makeDirectories(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (!exists(path.substr(0, slash))) BLCR_TRY(makeDirectory(path.substr(0, slash)));
  return makeDirectory(path);
}

/** Lets `name` of the covered directory appear again under `target`. */
Status bindBack(int directory, const std::string& name, const std::string& target) {
  struct stat info{};
  if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return {};  // removed meanwhile
  const std::string original = descriptorPath(directory) + "/" + name;
  if (S_ISLNK(info.st_mode)) {
    const auto link = readLink(original);
    if (!link.ok()) return link.error();
    if (::symlink(link.value().c_str(), target.c_str()) != 0) return systemError(target);
    return {};
  }
  if (S_ISDIR(info.st_mode)) {
    BLCR_TRY(makeDirectory(target));
  } else {
    const UniqueFd file(::open(target.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    if (!file) return systemError(target);
  }
  return bind(original, target);
}

Status bindEntriesBack(int directory, const std::string& target) {
  const UniqueFd listed(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* listing = listed ? ::fdopendir(::dup(listed.get())) : nullptr;
  if (listing == nullptr) return systemError("entries of " + target);
  Status status;
  while (const dirent* entry = ::readdir(listing)) {
    const std::string name = entry->d_name;
    if (status.ok() && name != "." && name != "..") status = bindBack(directory, name, (target == "/" ? "" : target) + "/" + name);
  }
  ::closedir(listing);
  return status;
}

Status mountTmpfs(const std::string& path) {
  if (::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0) return systemError("tmpfs over " + path);
  return {};
}

/** A directory that can take new entries stands where `path` was; all that was in it is there again. */
Status coverDirectory(const std::string& path) {
  const UniqueFd original(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!original) return systemError(path);
  BLCR_TRY(mountTmpfs(path));
  return bindEntriesBack(original.get(), path);
}

/** The root cannot be covered, only exchanged: the new one is put together below /tmp. */
Status coverRoot() {
  const std::string stage = "/tmp";
  const UniqueFd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  // A copy of /tmp with what is mounted in it, taken before it is covered: a bind made later would contain the stage. Linux 5.2.
  const UniqueFd covered(::open_tree(AT_FDCWD, stage.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  if (!root || !covered) return systemError(stage);
  BLCR_TRY(mountTmpfs(stage));
  const UniqueFd listed(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* listing = listed ? ::fdopendir(::dup(listed.get())) : nullptr;
  if (listing == nullptr) return systemError("entries of /");
  Status status;
  while (const dirent* entry = ::readdir(listing)) {
    const std::string name = entry->d_name;
    if (!status.ok() || name == "." || name == "..") continue;
    if (name != "tmp") {
      status = bindBack(root.get(), name, stage + "/" + name);
      continue;
    }
    status = makeDirectory(stage + "/tmp");
    const std::string again = stage + "/tmp";
    if (status.ok() && ::move_mount(covered.get(), "", AT_FDCWD, again.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) status = systemError(again);
  }
  ::closedir(listing);
  if (!status.ok()) return status;
  if (::chdir(stage.c_str()) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 || ::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0)
    return systemError("exchanging the root directory");
  return {};
}

Status makeMountPoint(const std::string& path, bool directory) {
  std::string ancestor = parentOf(path);
  while (!exists(ancestor)) ancestor = parentOf(ancestor);
  BLCR_TRY(ancestor == "/" ? coverRoot() : coverDirectory(ancestor));
  if (directory) return makeDirectories(path);
  BLCR_TRY(makeDirectories(parentOf(path)));
  const UniqueFd file(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  if (!file) return systemError("mount point " + path);
  return {};
}

Status checkPair(const PathPair& pair) {
  for (const std::string& path : {pair.from, pair.to})
    if (!path.starts_with('/') || path == "/" || path.ends_with('/') || path.find("/../") != std::string::npos || path.ends_with("/.."))
      return Error{EINVAL, "bind " + pair.from + "=" + pair.to + ": absolute paths of files or directories are wanted"};
  return {};
}

/** The fifth field of each line, whose blanks are written \040. Source: proc(5), mountinfo. */
std::vector<std::string> mountPoints(std::string_view text) {
  std::vector<std::string> points;
  while (!text.empty()) {
    std::string_view line = takeLine(text);
    std::string_view field;
    for (int index = 0; index < 5; ++index) field = takeField(line);
    std::string path;
    for (size_t at = 0; at < field.size(); ++at) {
      const bool escaped = field[at] == '\\' && field.size() - at > 3;
      path.push_back(escaped ? char((field[at + 1] - '0') * 64 + (field[at + 2] - '0') * 8 + (field[at + 3] - '0')) : field[at]);
      if (escaped) at += 3;
    }
    points.push_back(std::move(path));
  }
  return points;
}

}  // namespace

Status isolateMounts() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0) return {};
  if (errno == EPERM || errno == EACCES)
    return Error{EPERM,
                 systemError("making mounts private").detail +
                     " (this host gives users namespaces without rights in them, by AppArmor for instance, or a filter forbids mount)"};
  if (errno != EINVAL) return systemError("making mounts private");
  // The root of a chroot is no mount: what is mounted below it, one by one.
  const auto mounts = readFile("/proc/self/mountinfo");
  if (!mounts.ok()) return mounts.error();
  for (const std::string& path : mountPoints(mounts.value()))
    if (::mount(nullptr, path.c_str(), nullptr, MS_PRIVATE, nullptr) != 0 && errno != EINVAL && errno != ENOENT)
      return systemError("making mount " + path + " private");
  return {};
}

Status mountProc() {
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0) return {};
  Error error = systemError("mounting a /proc of the job's own");
  if (error.code == EPERM) error.detail += " (parts of this container's /proc are masked: it must be run with an unmasked one)";
  return error;
}

Status bindPaths(const std::vector<PathPair>& pairs) {
  for (const PathPair& pair : pairs) {
    BLCR_TRY(checkPair(pair));
    struct stat source{};
    if (::stat(pair.to.c_str(), &source) != 0) return systemError("bind source " + pair.to);
    if (!exists(pair.from)) BLCR_TRY(makeMountPoint(pair.from, S_ISDIR(source.st_mode)));
  }
  std::vector<UniqueFd> sources;  // opened when nothing is covered or exchanged any more, and before one bind can hide another's source
  for (const PathPair& pair : pairs) {
    sources.emplace_back(::open(pair.to.c_str(), O_PATH | O_CLOEXEC));
    if (!sources.back()) return systemError("bind source " + pair.to);
  }
  for (size_t index = 0; index < pairs.size(); ++index) BLCR_TRY(bind(descriptorPath(sources[index].get()), pairs[index].from));
  return {};
}

}  // namespace blcr
