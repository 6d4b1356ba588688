// Descriptors through which the kernel tells of events.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include <fstream>
#include <iterator>

#include "holds.h"

namespace holds {
namespace {

bool isQuiet(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return poll(&entry, 1, 0) == 0;
}

std::string events(int fd) {
  alignas(inotify_event) char buffer[4096];
  const ssize_t length = read(fd, buffer, sizeof buffer);
  std::string text;
  for (ssize_t at = 0; at < length;) {
    const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
    text += std::to_string(event->wd) + ":" + std::to_string(event->mask) + ":" + (event->len > 0 ? event->name : "") + " ";
    at += ssize_t(sizeof *event + event->len);
  }
  return text;
}

/** A file that has lost its name is watched, and so is the directory that it lay in. */
void watchedNameless() {
  REQUIRE(mkdir("watched", 0700) == 0);
  const int fd = inotify_init1(IN_NONBLOCK), file = open("watched/file", O_CREAT | O_WRONLY, 0600);
  const int watch = inotify_add_watch(fd, "watched/file", IN_MODIFY), directory = inotify_add_watch(fd, "watched", IN_CREATE);
  REQUIRE(file >= 0 && watch > 0 && directory > 0 && unlink("watched/file") == 0 && events(fd).empty());
  hold();
  REQUIRE(isQuiet(fd) && put(file, "x") == 0 && events(fd) == std::to_string(watch) + ":2: ");
  close(open("watched/new", O_CREAT | O_WRONLY, 0600));
  REQUIRE(events(fd) == std::to_string(directory) + ":256:new ");
}

/** What is mapped but neither open nor named is looked for in vain, and whoever watches the directories is not told of that. */
void unheardSearch() {
  REQUIRE(mkdir("heard", 0700) == 0 && mkdir("heard/below", 0700) == 0);
  const int fd = inotify_init1(IN_NONBLOCK), file = open("heard/below/file", O_CREAT | O_RDWR, 0600);
  REQUIRE(put(file, "content") == 0 && mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file, 0) != MAP_FAILED);
  REQUIRE(inotify_add_watch(fd, "heard/below/file", IN_MODIFY) > 0 && close(file) == 0 && unlink("heard/below/file") == 0);
  REQUIRE(inotify_add_watch(fd, "heard", IN_OPEN | IN_ACCESS | IN_CLOSE) > 0 && isQuiet(fd));
  hold();
  REQUIRE(isQuiet(fd));
}

void inotifyWatches() {
  mkdir("watched", 0700);
  mkdir("removed", 0700);
  close(open("file", O_CREAT | O_WRONLY, 0600));
  const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  const int gone = inotify_add_watch(fd, "removed", IN_CREATE);
  const int directory = inotify_add_watch(fd, "watched", IN_CREATE | IN_DELETE),
            file = inotify_add_watch(fd, "file", IN_MODIFY | IN_ONESHOT);
  REQUIRE(fd >= 0 && directory > 0 && file > 0 && symlink("watched", "link") == 0);
  const int link = inotify_add_watch(fd, "link", IN_ATTRIB | IN_DONT_FOLLOW);
  REQUIRE(inotify_rm_watch(fd, gone) == 0 && events(fd) == std::to_string(gone) + ":32768: ");
  hold();
  REQUIRE(isQuiet(fd) && (fcntl(fd, F_GETFL) & O_NONBLOCK) && fcntl(fd, F_GETFD) == FD_CLOEXEC);
  close(open("watched/new", O_CREAT | O_WRONLY, 0600));
  REQUIRE(events(fd) == std::to_string(directory) + ":256:new ");
  REQUIRE(utimensat(AT_FDCWD, "link", nullptr, AT_SYMLINK_NOFOLLOW) == 0 && events(fd) == std::to_string(link) + ":4: ");
  const int writer = open("file", O_WRONLY);
  REQUIRE(put(writer, "x") == 0 && events(fd) == std::to_string(file) + ":2: " + std::to_string(file) + ":32768: ");
  REQUIRE(put(writer, "x") == 0 && isQuiet(fd));
  REQUIRE(inotify_rm_watch(fd, directory) == 0);
}

void inotifyPending() {
  mkdir("watched", 0700);
  const int fd = inotify_init();
  REQUIRE(inotify_add_watch(fd, "watched", IN_CREATE) == 1);
  close(open("watched/early", O_CREAT | O_WRONLY, 0600));
  hold();
  REQUIRE(events(fd) == "1:256:early ");
}

const Case kNameless(Supported{"watchedNameless", "descriptors", "inotify watches of open files that were removed", "restored"},
                     watchedNameless);
const Case kUnheard(Supported{"unheardSearch", "descriptors", "inotify watches of files that are neither open nor found",
                              "refused: the path of watch"},
                    unheardSearch);

void signalFd() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGUSR1, SIGRTMIN + 3}) sigaddset(&set, number);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  const int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  for (int value : {7, 8}) REQUIRE(sigqueue(getpid(), SIGRTMIN + 3, sigval{value}) == 0);
  hold();
  signalfd_siginfo info{};
  for (int value : {7, 8}) REQUIRE(read(fd, &info, sizeof info) == sizeof info && info.ssi_int == value && info.ssi_code == SI_QUEUE);
  REQUIRE(info.ssi_pid == uint32_t(getpid()) && read(fd, &info, sizeof info) == -1 && errno == EAGAIN);
  raise(SIGUSR1);
  REQUIRE(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1);
}

/** Shorter than any stop: the time of the checkpoint and between two lives does not count, what goes by while it runs does. */
void shortPeriods() {
  const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), read2 = timerfd_create(CLOCK_MONOTONIC, 0);
  const itimerspec spec{{0, 1000000}, {0, 1000000}};
  const int64_t start = clockNs(CLOCK_MONOTONIC);
  REQUIRE(timerfd_settime(fd, 0, &spec, nullptr) == 0 && timerfd_settime(read2, 0, &spec, nullptr) == 0);
  hold();
  uint64_t expirations = 0, total = 0;
  REQUIRE(read(fd, &expirations, sizeof expirations) == sizeof expirations);
  const int64_t passed = (clockNs(CLOCK_MONOTONIC) - start) / 1000000;
  REQUIRE(int64_t(expirations) <= passed + 1 && int64_t(expirations) >= passed / 2);
  for (int i = 0; i < 5; ++i, total += expirations) REQUIRE(read(read2, &expirations, sizeof expirations) == sizeof expirations);
  REQUIRE(total >= 5);
  itimerspec left{};
  REQUIRE(timerfd_gettime(fd, &left) == 0 && left.it_interval.tv_nsec == 1000000 && left.it_value.tv_nsec <= 1000000);
}

/** Clocks, absolute times, expired and never armed ones. */
void timerKinds() {
  const int absolute = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), real = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
  const int boot = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK), idle = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
  const auto at = [](clockid_t clock, int64_t ahead) {
    const int64_t when = clockNs(clock) + ahead;
    return itimerspec{{0, 0}, {when / 1000000000, when % 1000000000}};
  };
  const int64_t hour = 3600ll * 1000000000;
  itimerspec spec = at(CLOCK_MONOTONIC, hour);
  REQUIRE(timerfd_settime(absolute, TFD_TIMER_ABSTIME, &spec, nullptr) == 0);
  spec = at(CLOCK_REALTIME, hour);
  REQUIRE(timerfd_settime(real, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, nullptr) == 0);
  spec = {{5, 0}, {7000, 0}};
  REQUIRE(timerfd_settime(boot, 0, &spec, nullptr) == 0);
  hold();
  itimerspec left{};
  uint64_t count = 0;
  REQUIRE(timerfd_gettime(absolute, &left) == 0 && left.it_value.tv_sec >= 3500 && left.it_value.tv_sec < 3600);
  REQUIRE(timerfd_gettime(real, &left) == 0 && left.it_value.tv_sec >= 3500 && left.it_value.tv_sec < 3600);
  REQUIRE(timerfd_gettime(boot, &left) == 0 && left.it_value.tv_sec >= 6900 && left.it_value.tv_sec < 7000 && left.it_interval.tv_sec == 5);
  REQUIRE(timerfd_gettime(idle, &left) == 0 && left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0);
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(real));
  const std::string told((std::istreambuf_iterator<char>(info)), {});
  REQUIRE(told.find("settime flags: 03") != std::string::npos);
  for (const int fd : {absolute, real, boot, idle}) REQUIRE(read(fd, &count, sizeof count) == -1 && errno == EAGAIN);
}

void eventFds() {
  const int semaphore = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK), counter = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  std::vector<int> semaphores, counters;
  for (const unsigned count : {0u, 1u, 2u, 9u}) {
    semaphores.push_back(eventfd(count, EFD_SEMAPHORE));
    counters.push_back(eventfd(count, 0));
  }
  const uint64_t large = 0xfffffffffffffffeull;
  REQUIRE(write(counter, &large, sizeof large) == sizeof large);
  hold();
  uint64_t value = 0;
  for (int i = 0; i < 3; ++i) REQUIRE(read(semaphore, &value, sizeof value) == sizeof value && value == 1);
  REQUIRE(read(semaphore, &value, sizeof value) == -1 && errno == EAGAIN);
  REQUIRE(read(counter, &value, sizeof value) == sizeof value && value == large && fcntl(counter, F_GETFD) == FD_CLOEXEC);
  const uint64_t counts[] = {0, 1, 2, 9}, one = 1;
  for (size_t i = 0; i < 4; ++i) {
    REQUIRE(write(semaphores[i], &one, sizeof one) == sizeof one && write(counters[i], &one, sizeof one) == sizeof one);
    REQUIRE(read(counters[i], &value, sizeof value) == sizeof value && value == counts[i] + 1);
    for (uint64_t left = counts[i] + 1; left > 0; --left) REQUIRE(read(semaphores[i], &value, sizeof value) == sizeof value && value == 1);
    for (const int fd : {semaphores[i], counters[i]}) {
      pollfd entry{fd, POLLIN, 0};
      REQUIRE(poll(&entry, 1, 0) == 0);
    }
  }
}

/** The number that was used for the addition is closed, or is another file now; another process has the only descriptor left. */
void epollTargets() {
  const int outer = epoll_create1(0), inner = epoll_create1(EPOLL_CLOEXEC);
  int closed[2], renamed[2], passed[2], pause[2];
  REQUIRE(pipe(closed) == 0 && pipe(renamed) == 0 && pipe(passed) == 0 && pipe(pause) == 0);
  const auto add = [](int epoll, int fd, uint32_t mask, uint64_t data) {
    epoll_event event{mask, {.u64 = data}};
    REQUIRE(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
  };
  add(inner, closed[0], EPOLLIN, 1);
  add(inner, renamed[0], EPOLLIN | EPOLLONESHOT, 2);
  add(inner, passed[0], EPOLLIN | EPOLLET, 3);
  add(outer, inner, EPOLLIN, 4);
  const int copy = dup(closed[0]), other = dup(renamed[0]);
  close(closed[0]);
  REQUIRE(dup2(pause[0], renamed[0]) == renamed[0]);
  add(inner, renamed[0], EPOLLIN, 5);  // the same number a second time, for another file
  const pid_t child = spawn([&] {
    char byte = 0;
    REQUIRE(read(pause[0], &byte, 1) == 1);
  });
  close(passed[0]);
  hold();
  epoll_event found[4];
  REQUIRE(epoll_wait(outer, found, 4, 0) == 0);
  REQUIRE(put(closed[1], "x") == 0 && epoll_wait(outer, found, 4, 1000) == 1 && found[0].data.u64 == 4);
  REQUIRE(epoll_wait(inner, found, 4, 1000) == 1 && found[0].data.u64 == 1 && take(copy, 1) == "x");
  REQUIRE(put(renamed[1], "yy") == 0 && epoll_wait(inner, found, 4, 1000) == 1 && found[0].data.u64 == 2 && take(other, 1) == "y");
  REQUIRE(epoll_wait(inner, found, 4, 0) == 0);  // one shot
  REQUIRE(put(passed[1], "z") == 0 && epoll_wait(inner, found, 4, 1000) == 1 && found[0].data.u64 == 3);
  REQUIRE(put(pause[1], "w") == 0 && endsWell(child));
}

/** An edge that was taken before the checkpoint does not come again. Disarmed one-shot entries stay so. */
void epollState() {
  const int fd = epoll_create1(0);
  int once[2];
  REQUIRE(pipe(once) == 0 && put(once[1], "x") == 0);
  epoll_event event{EPOLLIN | EPOLLONESHOT, {.u64 = 9}}, found{};
  REQUIRE(epoll_ctl(fd, EPOLL_CTL_ADD, once[0], &event) == 0 && epoll_wait(fd, &found, 1, 1000) == 1);
  hold();
  REQUIRE(epoll_wait(fd, &found, 1, 0) == 0);
  REQUIRE(epoll_ctl(fd, EPOLL_CTL_MOD, once[0], &event) == 0 && epoll_wait(fd, &found, 1, 1000) == 1 && found.data.u64 == 9);
}

void pidFd() {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = spawn([&] { take(ends[0], 1); });
  const int fd = int(syscall(SYS_pidfd_open, child, 0)), self = int(syscall(SYS_pidfd_open, getpid(), O_NONBLOCK));
  REQUIRE(fd >= 0 && self >= 0);
  hold();
  REQUIRE(isQuiet(fd) && syscall(SYS_pidfd_send_signal, fd, 0, nullptr, 0) == 0 &&
          syscall(SYS_pidfd_send_signal, self, 0, nullptr, 0) == 0);
  REQUIRE((fcntl(self, F_GETFL) & O_NONBLOCK) != 0 && put(ends[1], "x") == 0);
  pollfd entry{fd, POLLIN, 0};
  REQUIRE(poll(&entry, 1, 10000) == 1 && endsWell(child) && syscall(SYS_pidfd_send_signal, fd, 0, nullptr, 0) == -1 && errno == ESRCH);
}

/** The process it means has ended: a zombie, and one that was waited for. */
void pidFdOfZombie() {
  const pid_t child = spawn([] { _exit(3); });
  const int fd = int(syscall(SYS_pidfd_open, child, 0));
  siginfo_t info{};
  REQUIRE(waitid(P_PID, id_t(child), &info, WEXITED | WNOWAIT) == 0);
  hold();
  REQUIRE(!isQuiet(fd));
  REQUIRE(waitid(idtype_t(3), id_t(fd), &info, WEXITED) == 0 && info.si_pid == child && info.si_status == 3);
}

/** Two descriptors of the same process show the same inode, where the kernel tells at all (Linux 6.9), those of another one another. */
void pidFdsOfTheDead() {
  const auto of = [](int fd) {
    struct stat info{};
    REQUIRE(fstat(fd, &info) == 0);
    return info.st_ino;
  };
  int fds[4];
  for (int i = 0; i < 4; i += 2) {
    const pid_t child = spawn([] {});
    for (const int k : {i, i + 1}) fds[k] = int(syscall(SYS_pidfd_open, child, 0));
    REQUIRE(endsWell(child));
  }
  const bool tells = of(fds[0]) != of(fds[2]);
  hold();
  for (const int fd : fds) REQUIRE(syscall(SYS_pidfd_send_signal, fd, 0, nullptr, 0) == -1 && errno == ESRCH && !isQuiet(fd));
  REQUIRE(of(fds[0]) == of(fds[1]) && of(fds[2]) == of(fds[3]) && (of(fds[0]) != of(fds[2])) == tells);
  REQUIRE(waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD);
}

const Case kPidFdDead(Supported{"pidFdsOfTheDead", "descriptors", "pidfds of processes that were waited for: which are the same",
                                "restored"},
                      pidFdsOfTheDead);
const Case kInotify(Supported{"inotifyWatches", "descriptors", "inotify: watches of files, directories and symbolic links", "restored"},
                    inotifyWatches);
const Case kPending(Supported{"inotifyPending", "descriptors", "inotify: events that were not read yet",
                              "refused: events are waiting in it"},
                    inotifyPending);
const Case kSignalFd(Supported{"signalFd", "descriptors", "signalfd with queued signals", "restored"}, signalFd);
const Case kShort(Supported{"timerFdShort", "descriptors", "timerfd: periods shorter than the stop", "restored"}, shortPeriods);
const Case kTimers(Supported{"timerFdKinds", "descriptors", "timerfd: all clocks, absolute times, cancelled when the clock is set, unarmed",
                             "restored"},
                   timerKinds);
const Case kEvents(Supported{"eventFds", "descriptors", "eventfd with counter, semaphore mode", "restored"}, eventFds);
const Case kEpoll(Supported{"epollTargets", "descriptors", "epoll: nested, with closed, renumbered and passed-on targets", "restored"},
                  epollTargets);
const Case kEpollState(Supported{"epollState", "descriptors", "epoll: one-shot entries that have fired", "restored"}, epollState);
const Case kPidFd(Supported{"pidFd", "descriptors", "pidfd of processes of the job", "restored"}, pidFd);
const Case kPidFdZombie(Supported{"pidFdOfZombie", "descriptors", "pidfd of a zombie", "restored"}, pidFdOfZombie);

}  // namespace
}  // namespace holds
