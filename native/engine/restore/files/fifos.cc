#include "restore/files/fifos.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

namespace blcr {

namespace {

int holdingFlags(const FifoNames& names) { return (names.unwritten ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY; }

/** No descriptor, and no error, for a name that does not exist. */
Result<UniqueFd> openNamed(const std::string& path, int flags) {
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 && !S_ISFIFO(info.st_mode)) return Error{EEXIST, path + " was a FIFO and is another file now"};
  UniqueFd fd(::open(path.c_str(), flags));
  if (!fd && errno != ENOENT) return systemError(path);
  return fd;
}

std::string directoryOf(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

/** Makes one in `directory`; its name. */
Result<std::string> makeIn(const std::string& directory, uint32_t mode) {
  static unsigned count = 0;
  const std::string path = directory + ".blcr-fifo-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
  if (::mkfifo(path.c_str(), 0600) != 0) return systemError(path);
  if (::chmod(path.c_str(), mode & 07777) != 0) return systemError(path);
  return path;
}

}  // namespace

Fifos::~Fifos() {
  for (const auto& [pipe, made] : made_) {
    if (made.temporary) ::unlink(made.at.c_str());
  }
}

Result<UniqueFd> Fifos::hold(uint32_t pipe, const FifoNames& names) {
  Made made;
  UniqueFd held;
  for (const std::string& name : names.names) {
    auto fd = openNamed(name, holdingFlags(names));
    if (!fd) return fd.error();
    if (!*fd) made.missing.push_back(name);
    if (held || !*fd) continue;
    held = *std::move(fd);
    made.at = name;
  }
  if (!held) {
    auto path = makeIn(directoryOf(names.names.empty() ? names.lost : names.names.front()), names.mode);
    // Nobody can look for one without a name: any place will do.
    if (!path && names.names.empty()) path = makeIn("/tmp/", names.mode);
    if (!path) return path.error();
    made.at = *path;
    made.temporary = true;
    held.reset(::open(made.at.c_str(), holdingFlags(names)));
    const Status opened = held ? Status() : Status(systemError(made.at));
    if (names.names.empty() || !opened) {
      ::unlink(made.at.c_str());
      made.temporary = false;
    }
    if (!opened) return opened.error();
  }
  made_[pipe] = std::move(made);
  return held;
}

Status Fifos::commit() {
  for (auto& [pipe, made] : made_) {
    for (const std::string& name : made.missing) {
      const bool named = made.temporary ? ::renameat2(AT_FDCWD, made.at.c_str(), AT_FDCWD, name.c_str(), RENAME_NOREPLACE) == 0
                                        : ::link(made.at.c_str(), name.c_str()) == 0;
      if (!named) return systemError("the FIFO " + name);
      if (made.temporary) made.at = name;
      made.temporary = false;
    }
    made.missing.clear();
  }
  return {};
}

}  // namespace blcr
