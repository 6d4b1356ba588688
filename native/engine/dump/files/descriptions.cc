#include "dump/files/descriptions.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <tuple>

#include "base/codes.h"
#include "base/features.h"
#include "base/io.h"

namespace blcr {
namespace {

std::string fdPath(pid_t pid, int fd) { return "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd); }

/** What two descriptors of one description agree in. Every eventfd has the same inode, hence the contents. */
auto keyOf(const FoundDescriptor& found) {
  return std::make_tuple(found.info.st_dev, found.info.st_ino, found.details.flags & ~O_CLOEXEC, found.details.position,
                         found.details.eventCount, found.details.sigmask, found.details.valueNs, found.details.watches.size());
}

long compareFiles(const FoundDescriptor& a, const FoundDescriptor& b) { return ::syscall(SYS_kcmp, a.pid, b.pid, KCMP_FILE, a.fd, b.fd); }

/** kcmp gives 0 equal, 1 less, 2 greater, 3 different without order; two kernels' worth of callers rely on 1 and 2. */
bool isBefore(const FoundDescriptor& a, const FoundDescriptor& b) {
  const auto left = keyOf(a), right = keyOf(b);
  if (left != right) return left < right;
  return compareFiles(a, b) == 1;
}

bool isSame(const FoundDescriptor& a, const FoundDescriptor& b) { return keyOf(a) == keyOf(b) && compareFiles(a, b) == 0; }

}  // namespace

Result<FoundDescriptor> describeDescriptor(pid_t pid, int fd) {
  FoundDescriptor found;
  found.pid = pid;
  found.fd = fd;
  const std::string path = fdPath(pid, fd);
  auto link = readLink(path);
  if (!link && link.error().code == ENAMETOOLONG)
    return Error{kErrorNoSupport, found.name() + ": its path is too long to be told or opened (more than 4095 bytes)"};
  if (!link) return link.error();
  found.link = *std::move(link);
  if (::stat(path.c_str(), &found.info) != 0) return systemError(found.name());
  auto details = readFdInfo(pid, fd);
  if (!details) return details.error();
  found.details = *std::move(details);
  return found;
}

size_t DescriptorFinder::findSame(pid_t pid, int fd) {
  const auto [at, isNew] = seen_.try_emplace(fd, into_.size(), into_.size());
  auto& [first, newest] = at->second;
  if (isNew) return FoundDescriptor::kNowhere;
  for (const size_t index : {first, newest})
    if (isSameDescription(into_[index].pid, fd, pid, fd)) return index;
  newest = into_.size();
  return FoundDescriptor::kNowhere;
}

Status DescriptorFinder::add(pid_t pid) {
  auto numbers = listDescriptors(pid);
  if (!numbers) return numbers.error();
  for (const int fd : *numbers) {
    const size_t same = findSame(pid, fd);
    if (same == FoundDescriptor::kNowhere) {
      auto found = describeDescriptor(pid, fd);
      if (!found) return found.error();
      into_.push_back(*std::move(found));
      continue;
    }
    // Close-on-exec and POSIX locks are its own.
    auto details = readFdInfo(pid, fd);
    if (!details) return details.error();
    FoundDescriptor& found = into_.emplace_back(into_[same]);
    found.pid = pid;
    found.details = *std::move(details);
    found.known = same;
  }
  return {};
}

Result<uint32_t> groupDescriptions(std::vector<FoundDescriptor>& descriptors) {
  // Asked once: without kcmp (no CONFIG_KCMP) sharing would be guessed.
  if (::syscall(SYS_kcmp, ::getpid(), ::getpid(), KCMP_FS, 0, 0) != 0) return systemError("kcmp");
  std::vector<size_t> leader(descriptors.size());  // first member of each group, in the order found
  std::vector<size_t> order;
  for (size_t i = 0; i < leader.size(); ++i) {
    const size_t known = descriptors[i].known;
    leader[i] = known == FoundDescriptor::kNowhere ? i : known;
    if (leader[i] == i) order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return isBefore(descriptors[a], descriptors[b]); });
  for (size_t begin = 0, i = 1; !order.empty() && i <= order.size(); ++i) {
    if (i < order.size() && isSame(descriptors[order[begin]], descriptors[order[i]])) continue;
    const size_t first = *std::min_element(order.begin() + long(begin), order.begin() + long(i));
    for (size_t j = begin; j < i; ++j) leader[order[j]] = first;
    begin = i;
  }
  uint32_t count = 0;
  for (size_t i = 0; i < descriptors.size(); ++i) {
    descriptors[i].description = leader[i] == i ? count++ : descriptors[leader[i]].description;  // earlier ones have theirs
  }
  return count;
}

bool isSameDescription(pid_t pid1, int fd1, pid_t pid2, int fd2) { return ::syscall(SYS_kcmp, pid1, pid2, KCMP_FILE, fd1, fd2) == 0; }

Result<UniqueFd> borrowDescriptor(pid_t pid, int fd) {
  if (!featureAllowed("pidfd")) return Error{ENOSYS, "pidfd_getfd is disabled"};
  const UniqueFd process(int(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return systemError("process " + std::to_string(pid) + ": pidfd");
  UniqueFd own(int(::syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
  if (!own) return systemError("process " + std::to_string(pid) + " descriptor " + std::to_string(fd));
  return own;
}

Result<UniqueFd> reachDescriptor(pid_t pid, int fd, int flags) {
  auto borrowed = borrowDescriptor(pid, fd);
  if (borrowed) return borrowed;
  UniqueFd opened(::open(fdPath(pid, fd).c_str(), flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!opened) return systemError(fdPath(pid, fd));
  return opened;
}

}  // namespace blcr
