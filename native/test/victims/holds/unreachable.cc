// Names that do not lead to what they name, and what waits in sockets and terminals where nobody can look.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>

#include <atomic>
#include <thread>

#include "holds.h"

namespace holds {
namespace {

void noPermissions() {
  REQUIRE(mkdir("place", 0700) == 0);
  const int directory = open("place", O_RDONLY | O_DIRECTORY), file = open("file", O_RDWR | O_CREAT, 0600);
  REQUIRE(directory >= 0 && put(file, "abc") == 0 && chdir("place") == 0 && fchmod(directory, 0) == 0 && fchmod(file, 0400) == 0);
  hold();
  struct stat info{}, here{};
  REQUIRE(fstat(directory, &info) == 0 && (info.st_mode & 07777) == 0 && fstat(file, &info) == 0 && (info.st_mode & 07777) == 0400);
  REQUIRE(lseek(file, 0, SEEK_CUR) == 3 && put(file, "d") == 0);
  REQUIRE(fstat(directory, &info) == 0 && stat("/proc/self/cwd", &here) == 0 && info.st_ino == here.st_ino);
  REQUIRE(fchmod(directory, 0700) == 0);  // a user could not remove it
}

void shutAway() {
  REQUIRE(mkdir("place", 0700) == 0);
  const int file = open("place/file", O_RDWR | O_CREAT, 0600);
  REQUIRE(put(file, "abc") == 0 && chmod("place", 0) == 0);
  hold();
  REQUIRE(put(file, "d") == 0 && chmod("place", 0700) == 0);
}

void longPath() {
  const std::string part(200, 'n');
  for (int i = 0; i < 25; ++i) REQUIRE(mkdir(part.c_str(), 0700) == 0 && chdir(part.c_str()) == 0);
  const int file = open("file", O_RDWR | O_CREAT, 0600);
  hold();
  REQUIRE(put(file, "x") == 0);
}

void threadPidFd() {
  static std::atomic<pid_t> number{0};
  static std::atomic<bool> over{false};
  std::thread other([] {
    number = pid_t(syscall(SYS_gettid));
    until([] { return over.load(); });
  });
  until([] { return number != 0; });
  const int fd = int(syscall(SYS_pidfd_open, number.load(), O_EXCL));  // PIDFD_THREAD, Linux 6.9
  if (fd < 0) {
    over = true;
    other.join();
    notHere();
  }
  hold();
  pollfd state{fd, POLLIN, 0};
  REQUIRE(poll(&state, 1, 0) == 0 && syscall(SYS_pidfd_send_signal, fd, 0, nullptr, 0) == 0);
  over = true;
  other.join();
  REQUIRE(poll(&state, 1, -1) == 1);
}

int terminal(int& end) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  REQUIRE(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
  end = open(ptsname(master), O_RDWR | O_NOCTTY);
  REQUIRE(end >= 0);
  return master;
}

/** A terminal may give the end of a line later than the line. */
std::string takeLine(int fd) {
  std::string line = take(fd);
  while (!line.empty() && line.back() != '\n') {
    const std::string more = take(fd);
    if (more.empty()) break;
    line += more;
  }
  return line;
}

void ownTerminalOnly() {
  REQUIRE(endsWell(spawn([] {
    setsid();
    int end = -1;
    const int master = terminal(end);
    REQUIRE(ioctl(end, TIOCSCTTY, 0) == 0);
    const int own = open("/dev/tty", O_RDWR);
    REQUIRE(own >= 0 && close(end) == 0);
    hold();
    REQUIRE(put(own, "out\n") == 0 && takeLine(master) == "out\r\n" && put(master, "in\n") == 0 && takeLine(own) == "in\n");
  })));
}

void exclusiveTerminal() {
  int end = -1;
  const int master = terminal(end);
  REQUIRE(ioctl(end, TIOCEXCL) == 0);
  hold();
  REQUIRE(put(end, "out\n") == 0 && take(master) == "out\r\n");
}

sockaddr_in loopback(uint16_t port = 0) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = port;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/** A port that nobody listens at, as long as the descriptor is open. */
sockaddr_in closedPort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = loopback();
  socklen_t size = sizeof address;
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return address;
}

void unfinishedDatagram() {
  const int receiver = socket(AF_INET, SOCK_DGRAM, 0), sender = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in address = loopback();
  socklen_t size = sizeof address;
  REQUIRE(bind(receiver, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(getsockname(receiver, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  REQUIRE(connect(sender, reinterpret_cast<sockaddr*>(&address), size) == 0 && send(sender, "abc", 3, MSG_MORE) == 3);
  hold();
  REQUIRE(put(sender, "def") == 0 && take(receiver) == "abcdef");
}

void queuedErrors() {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
  const sockaddr_in nowhere = closedPort();
  REQUIRE(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on) == 0);
  REQUIRE(connect(fd, reinterpret_cast<const sockaddr*>(&nowhere), sizeof nowhere) == 0 && put(fd, "x") == 0);
  pollfd state{fd, 0, 0};
  REQUIRE(poll(&state, 1, -1) == 1 && (state.revents & POLLERR) != 0);
  hold();
  char data[16], control[256];
  iovec part{data, sizeof data};
  msghdr message{};
  message.msg_iov = &part, message.msg_iovlen = 1, message.msg_control = control, message.msg_controllen = sizeof control;
  REQUIRE(recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) == 1);
}

void failedConnection() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const sockaddr_in nowhere = closedPort();
  REQUIRE(connect(fd, reinterpret_cast<const sockaddr*>(&nowhere), sizeof nowhere) == -1 && errno == EINPROGRESS);
  pollfd state{fd, POLLOUT, 0};
  REQUIRE(poll(&state, 1, -1) == 1 && (state.revents & POLLERR) != 0);
  hold();
  int error = 0;
  socklen_t size = sizeof error;
  REQUIRE(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == ECONNREFUSED);
}

void procReadInPart() {
  Pipe go;
  const pid_t child = spawn([&] { take(go.read, 1); });
  const int fd = open(("/proc/" + std::to_string(child) + "/status").c_str(), O_RDONLY);
  REQUIRE(take(fd, 10).size() == 10 && put(go.write, "x") == 0 && endsWell(child));
  hold();
  REQUIRE(!take(fd, 10).empty());
}

void pathOfRemoved() {
  const int file = open("file", O_RDWR | O_CREAT, 0600), path = open("file", O_PATH);
  REQUIRE(put(file, "abc") == 0 && unlink("file") == 0);
  hold();
  REQUIRE(fcntl(path, F_GETFD) == 0 && put(file, "d") == 0);
}

/** Like monitors of processes; and what tells of a thread, or of the reader itself. */
void procItself() {
  static std::atomic<pid_t> number{0};
  static std::atomic<bool> over{false};
  std::thread other([] {
    number = pid_t(syscall(SYS_gettid));
    until([] { return over.load(); });
  });
  until([] { return number != 0; });
  const int top = open("/proc", O_RDONLY | O_DIRECTORY), own = open("/proc/self", O_RDONLY | O_DIRECTORY);
  const int name = open(("/proc/self/task/" + std::to_string(number) + "/comm").c_str(), O_RDWR);
  REQUIRE(top >= 0 && own >= 0 && name >= 0);
  hold();
  const int stat = openat(top, (std::to_string(getpid()) + "/stat").c_str(), O_RDONLY);
  REQUIRE(stat >= 0 && std::stoi(take(stat)) == getpid() && openat(own, "comm", O_RDONLY) >= 0);
  REQUIRE(put(name, "other") == 0 && lseek(name, 0, SEEK_SET) == 0 && take(name) == "other\n");
  over = true;
  other.join();
}

const Case kNone(Supported{"noPermissions", "descriptors", "files and directories that nobody may open any more, also as working directory",
                           "restored"},
                 noPermissions);
const Case kShut(Supported{"shutAway", "descriptors", "files in a directory that may not be searched any more",
                           "refused: cannot be reached by its name"},
                 shutAway);
const Case kLong(Supported{"longPath", "descriptors", "files whose path is longer than 4095 bytes", "refused: its path is too long"},
                 longPath);
const Case kThread(Supported{"threadPidFd", "descriptors", "pidfds of threads (PIDFD_THREAD)", "restored"}, threadPidFd);
const Case kOwnOnly(Supported{"ownTerminalOnly", "descriptors", "pseudo-terminals: one whose program has only `/dev/tty` open", "restored"},
                    ownTerminalOnly);
const Case kExclusive(Supported{"exclusiveTerminal", "descriptors", "pseudo-terminals: one in exclusive mode (TIOCEXCL)",
                                "refused: a terminal in exclusive mode"},
                      exclusiveTerminal);
const Case kUnfinished(Supported{"unfinishedDatagram", "descriptors", "datagrams that are being put together (UDP_CORK, MSG_MORE)",
                                 "refused: is being put together"},
                       unfinishedDatagram);
const Case kErrors(Supported{"queuedErrors", "descriptors", "errors of datagrams that wait to be read (IP_RECVERR)",
                             "refused: wait to be read"},
                   queuedErrors);
const Case kFailed(Supported{"failedConnection", "descriptors", "a TCP connection that failed, before its program was told why",
                             "refused: has not been told yet"},
                   failedConnection);
const Case kRemovedPath(Supported{"pathOfRemoved", "descriptors", "O_PATH descriptors of files that were removed",
                                  "refused: its name was removed"},
                        pathOfRemoved);
const Case kProcItself(Supported{"procItself", "descriptors", "`/proc` itself, and files in it that tell of threads", "restored"},
                       procItself);
const Case kProc(Supported{"procReadInPart", "descriptors", "files of /proc that were read in part, of a process that has ended",
                           "refused: was read in part"},
                 procReadInPart);

}  // namespace
}  // namespace holds
