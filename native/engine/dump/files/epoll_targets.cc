// What epoll instances watch: a description and a number, which may belong to another file by now.
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/codes.h"
#include "dump/files/record_files.h"
#include "proc/file_system.h"

namespace blcr {
namespace {

using Candidates = std::vector<const FoundDescriptor*>;

/** One descriptor of each description of the inode that the entry shows; first of all what has its number now. */
Candidates candidates(const FileContext& context, const FoundDescriptor& found, const EpollWatch& watch) {
  Candidates all;
  const auto isObvious = [&](const FoundDescriptor& other) { return other.pid == found.pid && other.fd == watch.fd; };
  const auto leadsThere = [&watch](const FoundDescriptor& other) {
    return other.info.st_ino == watch.inode && kernelDevice(other.info.st_dev) == watch.device;
  };
  const auto isNew = [&all](const FoundDescriptor& other) {
    return std::none_of(all.begin(), all.end(), [&other](const auto* known) { return known->description == other.description; });
  };
  for (const bool obvious : {true, false})
    for (const FoundDescriptor& other : context.found)
      if (isObvious(other) == obvious && leadsThere(other) && isNew(other)) all.push_back(&other);
  return all;
}

/** By kcmp. `index`: several files may have been added under one number. */
const FoundDescriptor* compared(const FileContext& context, const FoundDescriptor& found, const EpollWatch& watch, uint32_t index) {
  kcmp_epoll_slot slot{uint32_t(found.fd), uint32_t(watch.fd), index};
  const auto matches = [&](const FoundDescriptor& other) {
    return ::syscall(SYS_kcmp, other.task, found.task, KCMP_EPOLL_TFD, other.fd, &slot) == 0;
  };
  const FoundDescriptor* target = nullptr;
  for (const FoundDescriptor& other : context.found)
    if (other.pid == found.pid && other.fd == watch.fd && matches(other)) target = &other;
  for (size_t i = 0; target == nullptr && i < context.found.size(); ++i)
    if (matches(context.found[i])) target = &context.found[i];
  return target;
}

/** In a child, whose table of descriptors is free: tells which candidate the entry is of. */
[[noreturn]] void tryAll(int epoll, const EpollWatch& watch, std::vector<int>& numbers, int* answer) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
  }
  const int instance = ::fcntl(epoll, F_DUPFD, watch.fd + 1);
  epoll_event event{watch.events, {}};
  event.data.u64 = watch.data;
  for (int& number : numbers) number = ::fcntl(number, F_DUPFD, watch.fd + 1);
  for (size_t index = 0; instance >= 0 && index < numbers.size(); ++index) {
    if (numbers[index] < 0 || ::dup2(numbers[index], watch.fd) < 0) break;
    // Changes an entry into what it is. None is there: ENOENT. An exclusive one cannot be changed: EINVAL.
    if (::epoll_ctl(instance, EPOLL_CTL_MOD, watch.fd, &event) != 0 && errno != EINVAL) continue;
    *answer = int(index);
    break;
  }
  ::_exit(0);
}

Result<const FoundDescriptor*> tried(const FoundDescriptor& found, const EpollWatch& watch, const Candidates& all) {
  const auto instance = borrowDescriptor(found);
  if (!instance) return instance.error();
  std::vector<UniqueFd> copies;
  std::vector<int> numbers;
  for (const FoundDescriptor* each : all) {
    auto copy = borrowDescriptor(*each);
    if (!copy) return copy.error();
    numbers.push_back(copy.value().get());
    copies.push_back(*std::move(copy));
  }
  void* const page = ::mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return systemError("memory for an epoll instance");
  int* const answer = static_cast<int*>(page);
  *answer = -1;
  const pid_t child = ::fork();
  if (child == 0) tryAll(instance.value().get(), watch, numbers, answer);
  while (child > 0 && ::waitpid(child, nullptr, __WALL) < 0 && errno == EINTR) {
  }
  const int index = *answer;
  ::munmap(page, sizeof(int));
  if (child < 0) return systemError("fork");
  return index < 0 ? nullptr : all[size_t(index)];
}

/** Without kcmp: the entry shows which inode it is of; among what leads there the instance itself tells. */
Result<const FoundDescriptor*> asked(const FileContext& context, const FoundDescriptor& found, const EpollWatch& watch) {
  const std::vector<EpollWatch>& watches = found.details.watches;
  const auto looksAlike = [&watch](const EpollWatch& other) {
    return other.fd == watch.fd && other.inode == watch.inode && other.device == watch.device;
  };
  if (std::count_if(watches.begin(), watches.end(), looksAlike) > 1 || (watch.events & EPOLLWAKEUP) != 0)
    return refuseFile(found, "which file it watches as number " + std::to_string(watch.fd) + " cannot be told: kcmp is forbidden here");
  return tried(found, watch, candidates(context, found, watch));
}

}  // namespace

Status recordEpollTargets(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  const bool compares = mayCompare();
  std::map<int32_t, uint32_t> seen;
  for (const EpollWatch& watch : found.details.watches) {
    const auto target = compares ? compared(context, found, watch, seen[watch.fd]++) : asked(context, found, watch);
    if (!target) return target.error();
    if (target.value() == nullptr)
      return refuseFile(found, "watches a file that the job has not open (number " + std::to_string(watch.fd) + ")");
    file.epoll.push_back({watch.fd, target.value()->description, watch.events, watch.data});
  }
  return {};
}

}  // namespace blcr
