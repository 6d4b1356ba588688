#include "dump/files/ring_holders.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/io.h"
#include "proc/status.h"

namespace blcr {
namespace {

/** A ring cannot be sent: those who have it have inherited it. */
std::vector<pid_t> relatives(const FileContext& context) {
  DumpRequest family = context.request;
  family.scope = Scope::kTree;
  family.omit.clear();
  family.leftOut.clear();
  std::vector<pid_t> outside;
  if (auto tree = scopeMembers(family)) outside = *std::move(tree);
  for (pid_t pid = context.request.target; pid > 1 && pid != context.request.keeper;) {
    const auto stat = readStat(pid);
    pid = stat ? stat.value().ppid : 0;
    if (pid > 1) outside.push_back(pid);
  }
  std::erase_if(outside, [&context](pid_t pid) { return context.members.contains(pid) || pid == ::getpid(); });
  return outside;
}

bool hasOpen(pid_t pid, const FoundDescriptor& found) {
  const auto numbers = listDescriptors(pid);  // of others' processes this user is told nothing, nor have they got it
  const auto isIt = [&](int fd) {
    struct stat info{};
    const std::string path = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd);
    const auto link = readLink(path);  // looking at a file proper may take long
    return link && link.value() == found.link && ::stat(path.c_str(), &info) == 0 && info.st_ino == found.info.st_ino &&
           info.st_dev == found.info.st_dev;
  };
  return numbers.ok() && std::any_of(numbers.value().begin(), numbers.value().end(), isIt);
}

}  // namespace

Status refuseHeldOutside(const FileContext& context, const FoundDescriptor& found) {
  for (const pid_t pid : relatives(context))
    if (hasOpen(pid, found)) return refuseFile(found, "process " + std::to_string(pid) + " outside the job has it open, too");
  return {};
}

}  // namespace blcr
