#include "dump/files/one_description.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/codes.h"
#include "base/io.h"
#include "proc/fdinfo.h"

namespace blcr {
namespace {

constexpr uint64_t kTaken = UINT64_MAX;  // data of the entry that is looked for
constexpr int kSignals = 64;

/** Polling other files takes what waits: that /proc/mounts has changed, for instance. An epoll instance sorts what it has ready. */
bool isPolledUnnoticed(int fd) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return false;
  if (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode) || S_ISCHR(info.st_mode)) return true;
  const auto link = readLink("/proc/self/fd/" + std::to_string(fd));
  return (info.st_mode & S_IFMT) == 0 && link && link.value() != "anon_inode:[eventpoll]";
}

/** The signal of a description, which nobody is sent; put back at the end. */
class Mark {
 public:
  explicit Mark(int fd) : fd_(fd), before_(::fcntl(fd, F_GETSIG)) {}
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;
  ~Mark() { static_cast<void>(::fcntl(fd_, F_SETSIG, before_)); }

  /** Another value than `other` has: whether it shows there. */
  [[nodiscard]] Result<bool> showsIn(int other) const {
    unsigned random = 0;
    if (::getrandom(&random, sizeof random, 0) != sizeof random) return systemError("getrandom");
    const int seen = ::fcntl(other, F_GETSIG);
    int value = 1 + int(random % unsigned(kSignals));
    if (value == seen) value = value % kSignals + 1;
    if (before_ < 0 || seen < 0 || ::fcntl(fd_, F_SETSIG, value) != 0) return systemError("a mark of an open file");
    return ::fcntl(other, F_GETSIG) == value;
  }

 private:
  int fd_, before_;
};

Status checkUnowned(int fd) {
  f_owner_ex owner{};
  if (::fcntl(fd, F_GETOWN_EX, &owner) != 0) return systemError("the owner of an open file");
  if (owner.pid == 0) return {};
  return Error{kErrorNoSupport, "who shares its open file cannot be told: kcmp is forbidden here, and signals are asked for"};
}

/** Both answers come several times: somebody else who marks at this moment gives mixed ones. */
Result<bool> isOneFile(int one, int other) {
  constexpr int kTries = 4;
  BLCR_TRY(checkUnowned(one));
  BLCR_TRY(checkUnowned(other));
  const Mark mark(one);
  int equal = 0;
  for (int tries = 0; tries < kTries; ++tries) {
    const auto shows = mark.showsIn(other);
    if (!shows) return shows.error();
    equal += shows.value() ? 1 : 0;
  }
  if (equal == 0 || equal == kTries) return equal != 0;
  return Error{kErrorTemporary, "who shares its open file cannot be told at this moment"};
}

}  // namespace

Result<size_t> DescriptionSet::add(int fd, size_t index) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return systemError("an open file");
  if ((flags & O_PATH) != 0) return index;
  return isPolledUnnoticed(fd) ? addPolled(fd, index) : addMarked(fd, index);
}

Result<size_t> DescriptionSet::addPolled(int fd, size_t index) {
  if (!epoll_) {
    epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    slot_.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  }
  if (!epoll_ || ::dup3(fd, slot_.get(), O_CLOEXEC) < 0) return systemError("epoll");
  epoll_event event{};
  event.data.u64 = polled_.size();
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, slot_.get(), &event) == 0) {
    polled_.push_back(index);
    return index;
  }
  if (errno != EEXIST) return addMarked(fd, index);  // EPERM: it cannot be polled
  event.data.u64 = kTaken;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, slot_.get(), &event) != 0) return systemError("epoll");
  const auto at = findPolled(polled_.size());
  if (!at) return at.error();
  event.data.u64 = at.value();
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, slot_.get(), &event) != 0) return systemError("epoll");
  return polled_[at.value()];
}

/** The one of `count` whose number no entry has. */
Result<size_t> DescriptionSet::findPolled(size_t count) const {
  const auto details = readFdInfo(::getpid(), epoll_.get());
  if (!details) return details.error();
  std::vector<bool> isThere(count);
  for (const EpollWatch& watch : details.value().watches)
    if (watch.data < count) isThere[watch.data] = true;
  const auto missing = std::find(isThere.begin(), isThere.end(), false);
  if (missing == isThere.end()) return Error{EIO, "an entry of an epoll instance is not shown"};
  return size_t(missing - isThere.begin());
}

Result<size_t> DescriptionSet::addMarked(int fd, size_t index) {
  for (const auto& [known, number] : marked_) {
    const auto same = isOneFile(number, fd);
    if (!same) return same.error();
    if (same.value()) return known;
  }
  marked_[index] = fd;
  return index;
}

}  // namespace blcr
