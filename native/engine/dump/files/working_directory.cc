#include "dump/files/working_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/codes.h"
#include "base/io.h"

namespace blcr {
namespace {

/** `mode`: of one that was removed, with which its own goes. */
Result<std::string> workingDirectory(pid_t pid, pid_t tid, uint32_t& mode) {
  const std::string link = "/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/cwd";
  auto path = readLink(link);
  if (!path && path.error().code == ENAMETOOLONG)
    return Error{kErrorNoSupport, taskName(pid, tid) + ": the path of its working directory is too long to be told (more than 4095 bytes)"};
  if (!path) return path;
  struct stat mine{}, named{};
  if (::stat(link.c_str(), &mine) != 0) return systemError(link);
  const bool isNamed = ::stat(path->c_str(), &named) == 0;
  const bool isThere = isNamed && mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
  const bool wasRemoved = !isNamed && path->starts_with('/') && !path->starts_with("/proc/") && path->ends_with(kDeleted);
  if (wasRemoved) mode = mine.st_mode & 07777;
  if (isThere || wasRemoved) return path;
  return Error{kErrorNoSupport, taskName(pid, tid) + ": its working directory cannot be reached by its name, " + *path};
}

/** Threads with one of their own, of the whole job. */
class OwnDirectories {
 public:
  explicit OwnDirectories(const Sharing& sharing) : sharing_(sharing) {}

  Status record(pid_t pid, image::Task& task) {
    auto path = workingDirectory(pid, task.tid, task.ownDirectoryMode);
    if (!path) return path.error();
    const auto status = readTaskStatus(pid, task.tid);
    if (!status) return status.error();
    task.ownDirectory = *std::move(path);
    task.ownUmask = status.value().umask;
    all_.push_back(task.tid);
    return {};
  }

  Status refuseShared(const image::Image& image) const {
    for (const pid_t tid : all_) {
      for (const image::Process& process : image.processes)
        if (process.state == image::ProcessState::kAlive && sharing_.isShared(Sharing::kDirectory, tid, process.tasks.front().tid))
          return refuse(tid, process.tasks.front().tid);
      for (const pid_t other : all_)
        if (tid < other && sharing_.isShared(Sharing::kDirectory, tid, other)) return refuse(tid, other);
    }
    return {};
  }

 private:
  static Error refuse(pid_t one, pid_t other) {
    return Error{kErrorNoSupport, "threads " + std::to_string(one) + " and " + std::to_string(other) + " share one working directory"};
  }
  const Sharing& sharing_;
  std::vector<pid_t> all_;
};

}  // namespace

Status recordWorkingDirectories(const Sharing& sharing, image::Image& image) {
  OwnDirectories own(sharing);
  for (image::Process& process : image.processes) {
    if (process.state == image::ProcessState::kZombie) continue;
    const pid_t first = process.tasks.front().tid;  // a main thread that has ended has none
    auto path = workingDirectory(process.pid, first, process.cwdMode);
    if (!path) return path.error();
    process.cwd = *std::move(path);
    for (image::Task& task : process.tasks)
      if (task.tid != first && !sharing.isShared(Sharing::kDirectory, first, task.tid)) BLCR_TRY(own.record(process.pid, task));
  }
  return own.refuseShared(image);
}

}  // namespace blcr
