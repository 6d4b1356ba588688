// Descriptors of every supported kind. Runs in a scratch directory.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "victim.h"

namespace {

std::string readSome(int fd, size_t length) {
  std::string text(length, '\0');
  const ssize_t got = read(fd, text.data(), length);
  text.resize(got > 0 ? size_t(got) : 0);
  return text;
}

int put(int fd, const std::string& text) { return write(fd, text.data(), text.size()) == ssize_t(text.size()) ? 0 : -1; }

}  // namespace

int main() {
  mkdir("sub", 0700);
  REQUIRE(chdir("sub") == 0);
  umask(027);
  const int log = open("log", O_RDWR | O_CREAT | O_APPEND, 0644);
  const int data = open("data", O_RDWR | O_CREAT, 0600), same = dup(data), other = open("data", O_RDONLY | O_CLOEXEC);
  REQUIRE(put(data, "0123456789") == 0 && lseek(same, 3, SEEK_SET) == 3);
  REQUIRE(flock(data, LOCK_EX) == 0);
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_start = 5;
  lock.l_len = 5;
  REQUIRE(fcntl(log, F_SETLK, &lock) == 0);
  const int gone = open("gone", O_RDWR | O_CREAT, 0600);
  REQUIRE(put(gone, std::string(100000, 'g')) == 0 && unlink("gone") == 0 && lseek(gone, 99990, SEEK_SET) == 99990);
  const int directory = open(".", O_RDONLY | O_DIRECTORY), null = open("/dev/null", O_WRONLY);
  int pipeEnds[2], pair[2], datagrams[2];
  REQUIRE(pipe2(pipeEnds, O_NONBLOCK) == 0 && fcntl(pipeEnds[1], F_SETPIPE_SZ, 131072) == 131072);
  REQUIRE(put(pipeEnds[1], std::string(100000, 'p')) == 0);
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && put(pair[0], "stream") == 0);
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, datagrams) == 0 && put(datagrams[1], "one") == 0 && put(datagrams[1], "two") == 0);
  const int event = eventfd(5, EFD_SEMAPHORE | EFD_NONBLOCK);
  const int periodic = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), expired = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  const itimerspec ticking{{0, 20000000}, {0, 20000000}}, once{{0, 0}, {0, 1000000}};
  timerfd_settime(periodic, 0, &ticking, nullptr);
  timerfd_settime(expired, 0, &once, nullptr);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  const int signals = signalfd(-1, &set, SFD_NONBLOCK);
  const int memory = int(memfd_create("named", MFD_ALLOW_SEALING));
  REQUIRE(put(memory, std::string(10000, 'm')) == 0 && fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
  char* mapped = static_cast<char*>(mmap(nullptr, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0));
  const int shared = open("shared", O_RDWR | O_CREAT, 0600);
  REQUIRE(ftruncate(shared, 8192) == 0);
  char* file = static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0));
  const int inner = epoll_create1(0), outer = epoll_create1(EPOLL_CLOEXEC), renumbered = dup(event);
  epoll_event entry{EPOLLIN, {.u64 = 1}};
  REQUIRE(epoll_ctl(inner, EPOLL_CTL_ADD, pipeEnds[0], &entry) == 0);
  entry = {EPOLLIN, {.u64 = 2}};
  REQUIRE(epoll_ctl(inner, EPOLL_CTL_ADD, renumbered, &entry) == 0 && close(renumbered) == 0);
  entry = {EPOLLIN | EPOLLET, {.u64 = 3}};
  REQUIRE(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &entry) == 0);
  REQUIRE(dup3(null, 200, O_CLOEXEC) == 200);
  const rlimit files{300, 400};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &files) == 0);

  int lines = 0;
  for (runMs(); !mayEnd("../go"); ++lines) {
    REQUIRE(put(log, "line " + std::to_string(lines) + "\n") == 0);
    mapped[lines % 10000] = 'M';
    file[lines % 8192] = 'F';
    usleep(5000);
  }

  const int64_t ticksDue = runMs() / 20;

  std::string expected;
  for (int i = 0; i < lines; ++i) expected += "line " + std::to_string(i) + "\n";
  REQUIRE(lseek(log, 0, SEEK_SET) == 0 && readSome(log, expected.size() + 10) == expected);
  REQUIRE((fcntl(log, F_GETFL) & (O_APPEND | O_ACCMODE)) == (O_APPEND | O_RDWR));
  REQUIRE(readSome(data, 2) == "34" && readSome(same, 2) == "56" && readSome(other, 2) == "01");
  REQUIRE(fcntl(other, F_GETFD) == FD_CLOEXEC && fcntl(data, F_GETFD) == 0);
  const int rival = open("data", O_RDONLY);
  REQUIRE(flock(rival, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK);
  const pid_t locker = fork();
  if (locker == 0) {
    REQUIRE(fcntl(log, F_SETLK, &lock) == -1);
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(locker, &status, 0) == locker && status == 0);
  REQUIRE(readSome(gone, 20) == "gggggggggg");
  struct stat info{};
  REQUIRE(fstat(gone, &info) == 0 && info.st_nlink == 0 && info.st_size == 100000);
  REQUIRE(fstatat(directory, "data", &info, 0) == 0 && put(null, "x") == 0 && fcntl(200, F_GETFD) == FD_CLOEXEC);
  REQUIRE(readSome(pipeEnds[0], 200000) == std::string(100000, 'p') && fcntl(pipeEnds[0], F_GETPIPE_SZ) == 131072);
  REQUIRE(read(pipeEnds[0], &info, 1) == -1 && errno == EAGAIN);
  REQUIRE(readSome(pair[1], 20) == "stream" && readSome(datagrams[0], 20) == "one" && readSome(datagrams[0], 20) == "two");
  uint64_t value = 0;
  for (int i = 0; i < 5; ++i) REQUIRE(read(event, &value, sizeof value) == sizeof value && value == 1);
  REQUIRE(read(event, &value, sizeof value) == -1 && errno == EAGAIN);
  REQUIRE(read(periodic, &value, sizeof value) == sizeof value && int64_t(value) >= ticksDue - 10 && int64_t(value) < ticksDue + 200);
  REQUIRE(read(expired, &value, sizeof value) == sizeof value && value == 1);
  REQUIRE(raise(SIGUSR1) == 0);
  signalfd_siginfo seen{};
  REQUIRE(read(signals, &seen, sizeof seen) == sizeof seen && seen.ssi_signo == SIGUSR1);
  REQUIRE(fcntl(memory, F_GET_SEALS) == F_SEAL_SHRINK && mapped[0] == 'M' && mapped[9999] == 'm');
  REQUIRE(lseek(memory, 0, SEEK_SET) == 0 && readSome(memory, 1) == "M");
  REQUIRE(readSome(shared, 1) == "F");
  const uint64_t one = 1;
  REQUIRE(write(event, &one, sizeof one) == sizeof one);
  epoll_event found{};
  REQUIRE(epoll_wait(outer, &found, 1, 1000) == 1 && found.data.u64 == 3);
  REQUIRE(epoll_wait(inner, &found, 1, 1000) == 1 && found.data.u64 == 2);
  char where[4096];
  REQUIRE(getcwd(where, sizeof where) != nullptr && strcmp(where + strlen(where) - 4, "/sub") == 0);
  REQUIRE(umask(0) == 027);
  rlimit now{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 300 && now.rlim_max == 400);
  puts("files kept");
  return 0;
}
