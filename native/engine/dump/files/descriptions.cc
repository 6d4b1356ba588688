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
#include "dump/files/one_description.h"

namespace blcr {
namespace {

std::string fdPath(pid_t pid, int fd) { return "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd); }

/** Those that a description has: POSIX locks are shown to their process alone. */
size_t ownLocks(const FoundDescriptor& found) {
  const auto& locks = found.details.locks;
  return size_t(std::count_if(locks.begin(), locks.end(), [](const std::string& lock) { return !lock.starts_with("POSIX"); }));
}

/** What two descriptors of one description agree in. Every eventfd has the same inode, hence the contents. */
auto keyOf(const FoundDescriptor& found) {
  return std::make_tuple(found.info.st_dev, found.info.st_ino, found.details.flags & ~O_CLOEXEC, found.details.position,
                         found.details.eventCount, found.details.sigmask, found.details.valueNs, found.details.watches.size(),
                         ownLocks(found));
}

long compareFiles(const FoundDescriptor& a, const FoundDescriptor& b) { return ::syscall(SYS_kcmp, a.task, b.task, KCMP_FILE, a.fd, b.fd); }

/** kcmp gives 0 equal, 1 less, 2 greater, 3 different without order; two kernels' worth of callers rely on 1 and 2. */
bool isBefore(const FoundDescriptor& a, const FoundDescriptor& b) {
  const auto left = keyOf(a), right = keyOf(b);
  if (left != right) return left < right;
  return compareFiles(a, b) == 1;
}

bool isSame(const FoundDescriptor& a, const FoundDescriptor& b) { return keyOf(a) == keyOf(b) && compareFiles(a, b) == 0; }

/** The number in this process, -1 when it has none. */
int numberHere(const FoundDescriptor& found) {
  if (found.lent) return found.lent->get();
  return found.pid == ::getpid() ? found.fd : -1;
}

Error named(const FoundDescriptor& found, const Error& error) { return {error.code, found.name() + ": " + error.detail}; }

/** `order`: what is to be told apart. `leader`: the first of each description, an index of its own to begin with. */
using Order = std::vector<size_t>;

void joinCompared(const std::vector<FoundDescriptor>& descriptors, Order& order, Order& leader) {
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return isBefore(descriptors[a], descriptors[b]); });
  for (size_t begin = 0, i = 1; !order.empty() && i <= order.size(); ++i) {
    if (i < order.size() && isSame(descriptors[order[begin]], descriptors[order[i]])) continue;
    const size_t first = *std::min_element(order.begin() + long(begin), order.begin() + long(i));
    for (size_t j = begin; j < i; ++j) leader[order[j]] = first;
    begin = i;
  }
}

Status joinLent(const std::vector<FoundDescriptor>& descriptors, Order& order, Order& leader) {
  const auto isBeforeByKey = [&](size_t a, size_t b) { return keyOf(descriptors[a]) < keyOf(descriptors[b]); };
  std::stable_sort(order.begin(), order.end(), isBeforeByKey);
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    for (end = begin + 1; end < order.size() && !isBeforeByKey(order[begin], order[end]);) ++end;
    DescriptionSet set;
    for (size_t i = begin; i < end && end - begin > 1; ++i) {
      const FoundDescriptor& found = descriptors[order[i]];
      if (numberHere(found) < 0) continue;  // will be refused
      const auto first = set.add(numberHere(found), order[i]);
      if (!first) return named(found, first.error());
      leader[order[i]] = first.value();
    }
  }
  return {};
}

}  // namespace

Result<FoundDescriptor> describeDescriptor(pid_t pid, pid_t task, int fd) {
  FoundDescriptor found;
  found.pid = pid;
  found.task = task;
  found.fd = fd;
  const std::string path = fdPath(task, fd);
  auto link = readLink(path);
  if (!link && link.error().code == ENAMETOOLONG)
    return Error{kErrorNoSupport, found.name() + ": its path is too long to be told or opened (more than 4095 bytes)"};
  if (!link) return link.error();
  found.link = *std::move(link);
  if (::stat(path.c_str(), &found.info) != 0) return systemError(found.name());
  auto details = readFdInfo(task, fd);
  if (!details) return details.error();
  found.details = *std::move(details);
  return found;
}

Result<size_t> DescriptorFinder::findSame(const FoundDescriptor& bare) {
  const auto [at, isNew] = seen_.try_emplace(bare.fd, into_.size(), into_.size());
  auto& [first, newest] = at->second;
  if (isNew) return FoundDescriptor::kNowhere;
  for (const size_t index : {first, newest}) {
    const auto same = isSameDescription(into_[index], bare);
    if (!same) return same.error();
    if (same.value()) return index;
  }
  newest = into_.size();
  return FoundDescriptor::kNowhere;
}

Status DescriptorFinder::addOne(const FoundDescriptor& bare) {
  const auto same = findSame(bare);
  if (!same) return same.error();
  if (same.value() == FoundDescriptor::kNowhere) {
    auto found = describeDescriptor(bare.pid, bare.task, bare.fd);
    if (!found) return found.error();
    found->lent = bare.lent;
    into_.push_back(*std::move(found));
    return {};
  }
  // Close-on-exec and POSIX locks are its own.
  auto details = readFdInfo(bare.task, bare.fd);
  if (!details) return details.error();
  FoundDescriptor& found = into_.emplace_back(into_[same.value()]);
  found.pid = bare.pid;
  found.task = bare.task;
  found.details = *std::move(details);
  found.known = same.value();
  return {};
}

Status DescriptorFinder::add(FrozenProcess& process) {
  const auto numbers = listDescriptors(process.speaker());
  if (!numbers) return numbers.error();
  std::vector<UniqueFd> lent(numbers.value().size());
  if (lending_ != nullptr) {
    auto taken = lending_->take(process, numbers.value());
    if (!taken) return taken.error();
    lent = *std::move(taken);
  }
  for (size_t index = 0; index < lent.size(); ++index) {
    FoundDescriptor bare;
    bare.pid = process.pid;
    bare.task = process.speaker();
    bare.fd = numbers.value()[index];
    if (lent[index]) bare.lent = std::make_shared<const UniqueFd>(std::move(lent[index]));
    BLCR_TRY(addOne(bare));
  }
  return {};
}

Result<uint32_t> groupDescriptions(std::vector<FoundDescriptor>& descriptors) {
  Order leader(descriptors.size()), order;  // first member of each group, in the order found
  for (size_t i = 0; i < leader.size(); ++i) {
    const size_t known = descriptors[i].known;
    leader[i] = known == FoundDescriptor::kNowhere ? i : known;
    if (leader[i] == i) order.push_back(i);
  }
  const auto isLent = [](const FoundDescriptor& found) { return found.lent != nullptr; };
  if (std::any_of(descriptors.begin(), descriptors.end(), isLent))
    BLCR_TRY(joinLent(descriptors, order, leader));
  else
    joinCompared(descriptors, order, leader);
  uint32_t count = 0;
  for (size_t i = 0; i < descriptors.size(); ++i) {
    descriptors[i].description = leader[i] == i ? count++ : descriptors[leader[i]].description;  // earlier ones have theirs
  }
  return count;
}

Result<bool> isSameDescription(const FoundDescriptor& one, const FoundDescriptor& other) {
  if (!one.lent && !other.lent) return compareFiles(one, other) == 0;
  const int left = numberHere(one), right = numberHere(other);
  struct stat leftInfo{}, rightInfo{};
  if (left < 0 || right < 0 || ::fstat(left, &leftInfo) != 0 || ::fstat(right, &rightInfo) != 0) return false;
  if (leftInfo.st_ino != rightInfo.st_ino || leftInfo.st_dev != rightInfo.st_dev) return false;
  if (::fcntl(left, F_GETFL) != ::fcntl(right, F_GETFL)) return false;
  DescriptionSet set;
  const auto first = set.add(left, 0), same = set.add(right, 1);
  if (!first) return named(one, first.error());
  if (!same) return named(other, same.error());
  return same.value() == 0;
}

Result<UniqueFd> borrowDescriptor(pid_t pid, pid_t task, int fd) {
  if (!featureAllowed("pidfd")) return Error{ENOSYS, "pidfd_getfd is disabled"};
  const UniqueFd process = openTask(pid, task);
  if (!process) return systemError("process " + std::to_string(pid) + ": pidfd");
  UniqueFd own(int(::syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
  if (!own) return systemError("process " + std::to_string(pid) + " descriptor " + std::to_string(fd));
  return own;
}

Result<UniqueFd> borrowDescriptor(const FoundDescriptor& found) {
  if (numberHere(found) < 0) return borrowDescriptor(found.pid, found.task, found.fd);
  UniqueFd copy(::fcntl(numberHere(found), F_DUPFD_CLOEXEC, 0));
  if (!copy) return systemError(found.name());
  return copy;
}

Result<UniqueFd> reachDescriptor(const FoundDescriptor& found, int flags) {
  auto borrowed = borrowDescriptor(found);
  if (borrowed) return borrowed;
  const std::string path = fdPath(found.task, found.fd);
  UniqueFd opened(::open(path.c_str(), flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!opened) return systemError(path);
  return opened;
}

}  // namespace blcr
