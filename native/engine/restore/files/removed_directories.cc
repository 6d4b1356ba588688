#include "restore/files/removed_directories.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "proc/maps.h"
#include "restore/relocate.h"

namespace blcr {
namespace {

/** The kernel tells of a removed directory by this end of its name, which another one may have by chance. */
bool wasRemoved(const std::string& path) {
  struct stat info{};
  return path.ends_with(kDeleted) && ::stat(path.c_str(), &info) != 0;
}

Result<UniqueFd> openDirectory(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return systemError("a removed directory: " + path);
  return fd;
}

/** Those that had to be made, in order; they go in the opposite one. */
class MadeDirectories {
 public:
  MadeDirectories() = default;
  MadeDirectories(const MadeDirectories&) = delete;
  MadeDirectories& operator=(const MadeDirectories&) = delete;
  ~MadeDirectories() {
    for (size_t index = made_.size(); index-- > 0;) ::rmdir(made_[index].c_str());
  }

  bool make(const std::string& path) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
      if (!makeOne(path.substr(0, slash)) && errno != EEXIST) return false;
    return makeOne(path);  // one that is there already is another one
  }

  Status makeElsewhere(std::string& path) {
    path = "/tmp/.blcr-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return systemError("a place for a removed directory: " + path);
    made_.push_back(path);
    return {};
  }

 private:
  bool makeOne(const std::string& path) {
    if (::mkdir(path.c_str(), 0700) != 0) return false;
    made_.push_back(path);
    return true;
  }

  std::vector<std::string> made_;
};

}  // namespace

Status RemovedDirectories::make(const image::Image& image, const RestoreRequest& request) {
  std::map<std::string, mode_t> wanted;
  for (const image::OpenFile& file : image.files)
    if (file.kind == image::FileKind::kDirectory && file.unlinked) wanted.emplace(file.path, file.mode & 07777);
  for (const image::Process& process : image.processes) {
    if (wasRemoved(process.cwd)) wanted.emplace(process.cwd, process.cwdMode);
    for (const image::Task& task : process.tasks)
      if (wasRemoved(task.ownDirectory)) wanted.emplace(task.ownDirectory, task.ownDirectoryMode);
  }
  MadeDirectories made;
  for (const auto& [recorded, mode] : wanted) {
    std::string path = relocated(request.relocate, recorded.substr(0, recorded.size() - std::min(recorded.size(), kDeleted.size())));
    if (!made.make(path)) BLCR_TRY(made.makeElsewhere(path));
    auto fd = openDirectory(path);
    if (!fd) return fd.error();
    all_.emplace(recorded, Removed{*std::move(fd), mode});
  }
  return {};
}

RemovedDirectories::~RemovedDirectories() {
  for (const auto& [_, each] : all_) static_cast<void>(::chmod(descriptorPath(each.fd.get()).c_str(), each.mode));
}

std::string RemovedDirectories::pathOf(const std::string& recorded) const {
  const auto found = all_.find(recorded);
  return found == all_.end() ? std::string() : descriptorPath(found->second.fd.get());
}

}  // namespace blcr
