#include "dump/files/find_path.h"

#include <dirent.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <memory>

#include "base/io.h"
#include "proc/fdinfo.h"
#include "proc/file_system.h"
#include "proc/maps.h"

namespace blcr {
namespace {

constexpr size_t kMaxEntries = 20000;  // of directories walked through
constexpr int kMaxDepth = 8;

bool leadsTo(const std::string& path, uint64_t inode, uint32_t device) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0 && info.st_ino == inode && kernelDevice(info.st_dev) == device;
}

/** Words of an argument list or environment that are, or end in, paths. */
std::vector<std::string> wordsOf(const std::string& text, const std::string& cwd) {
  std::vector<std::string> words;
  for (size_t from = 0; from < text.size();) {
    size_t end = text.find_first_of(std::string_view("\0:=", 3), from);
    if (end == std::string::npos) end = text.size();
    const std::string word = text.substr(from, end - from);
    if (!word.empty()) words.push_back(pathFrom(cwd, word));
    from = end + 1;
  }
  return words;
}

}  // namespace

void PathFinder::look(const std::string& path) {
  struct stat info{};
  if (!path.starts_with('/') || !seen_.insert(path).second || ::lstat(path.c_str(), &info) != 0) return;
  const Key key{info.st_ino, kernelDevice(info.st_dev)};
  if (wanted_.erase(key) != 0) known_[key] = path;
}

void PathFinder::lookAround(const std::string& path) {
  look(path);
  if (!ending_.empty()) look(path + "/" + ending_);
  for (size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0; slash = path.rfind('/', slash - 1)) {
    look(path.substr(0, slash));
    if (!ending_.empty()) look(path.substr(0, slash + 1) + ending_);
  }
  look("/");
}

/** The watchers of a directory are told what happens to it, and to everything in it. */
bool PathFinder::isHeard(const std::string& path) const {
  const size_t slash = path.rfind('/');
  struct stat info{};
  const auto hears = [&](const std::string& each) {
    return ::stat(each.c_str(), &info) == 0 && heard_.contains({info.st_ino, kernelDevice(info.st_dev)});
  };
  return !heard_.empty() && (hears(path) || hears(slash == 0 ? "/" : path.substr(0, slash)));
}

void PathFinder::walk(const std::string& directory, int depth) {
  if (isHeard(directory)) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(directory.c_str()), ::closedir);
  while (const dirent* entry = listing && !wanted_.empty() && budget_ > 0 ? ::readdir(listing.get()) : nullptr) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    --budget_;
    const std::string path = (directory == "/" ? "" : directory) + "/" + name;
    look(path);
    if (entry->d_type == DT_DIR && depth > 0) walk(path, depth - 1);
  }
}

void PathFinder::search() {
  std::vector<std::string> directories;
  for (const pid_t pid : members_) {
    const std::string process = "/proc/" + std::to_string(pid);
    const auto cwd = readLink(process + "/cwd");
    const std::string here = cwd.ok() ? cwd.value() : "/";
    directories.push_back(here);
    lookAround(here);
    const auto numbers = listDescriptors(pid);
    for (const int fd : numbers.ok() ? numbers.value() : std::vector<int>()) {
      const auto link = readLink(process + "/fd/" + std::to_string(fd));
      if (link.ok()) lookAround(link.value());
    }
    const auto maps = readMaps(pid);
    for (const Mapping& mapping : maps.ok() ? maps.value() : std::vector<Mapping>()) lookAround(mapping.path);
    for (const char* list : {"/cmdline", "/environ"}) {
      const auto text = readFile(process + list);
      for (const std::string& word : text.ok() ? wordsOf(text.value(), here) : std::vector<std::string>()) lookAround(word);
    }
  }
  for (const char* usual : {"/etc", "/dev", "/tmp", "/run"}) {
    look(usual);
    walk(usual, 0);
  }
  for (const std::string& directory : directories)
    if (!wanted_.empty() && directory != "/") walk(directory, kMaxDepth);
}

void PathFinder::readWatches(const std::function<void(const Key&)>& each) {
  heard_.clear();
  for (const pid_t pid : members_) {
    const auto numbers = listDescriptors(pid);
    for (const int fd : numbers.ok() ? numbers.value() : std::vector<int>()) {
      const auto link = readLink("/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd));
      if (!link.ok() || link.value() != "anon_inode:inotify") continue;
      const auto details = readFdInfo(pid, fd);
      if (!details.ok()) continue;
      for (const InotifyMark& mark : details.value().marks) {
        const Key key{mark.inode, mark.device};
        if ((mark.mask & (IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE)) != 0) heard_.insert(key);
        each(key);
      }
    }
  }
}

void PathFinder::prepare(const std::vector<pid_t>& members) {
  members_ = members;
  budget_ = kMaxEntries;
  readWatches([this](const Key& key) { wanted_.insert(key); });
  if (!wanted_.empty()) search();
}

/** What was found under way, if it leads there still. */
std::string PathFinder::known(const Key& key) const {
  const auto found = known_.find(key);
  return found != known_.end() && leadsTo(found->second, key.first, key.second) ? found->second : std::string();
}

/** Before one more look, of so many entries. */
void PathFinder::want(const Key& key, size_t budget) {
  wanted_.insert(key);
  seen_.clear();
  budget_ = budget;
  readWatches([](const Key&) {});
}

std::string PathFinder::find(uint64_t inode, uint32_t device, const std::string& ending) {
  const Key key{inode, device};
  std::string path = known(key);
  if (!path.empty() || missed_.contains(key)) return path;
  // Added or renamed since the first look.
  ending_ = ending;
  want(key, kMaxEntries / 4);
  search();
  path = known(key);
  if (path.empty()) missed_.insert(key);
  return path;
}

std::string PathFinder::findIn(const std::string& directory, uint64_t inode, uint32_t device) {
  const Key key{inode, device};
  want(key, kMaxEntries / 10);
  walk(directory, 0);
  wanted_.erase(key);
  return known(key);
}

}  // namespace blcr
