// AF_UNIX sockets of every type and state. Runs in a scratch directory.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "victim.h"

namespace {

struct Address {
  sockaddr_un name{};
  socklen_t size = 0;
  /** A path, or "@name" for an abstract one. */
  explicit Address(const std::string& text) {
    name.sun_family = AF_UNIX;
    memcpy(name.sun_path, text.c_str(), text.size());
    if (text[0] == '@') name.sun_path[0] = 0;
    size = socklen_t(offsetof(sockaddr_un, sun_path) + text.size() + (text[0] == '@' ? 0 : 1));
  }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }
};

std::string textOf(const sockaddr_un& name, socklen_t size) {
  if (size <= sizeof(sa_family_t)) return "";
  if (name.sun_path[0] == 0) return "@" + std::string(name.sun_path + 1, size - sizeof(sa_family_t) - 1);
  return name.sun_path;
}

std::string nameOf(int fd, decltype(getsockname)* ask) {
  sockaddr_un name{};
  socklen_t size = sizeof name;
  if (ask(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) return "none";
  return textOf(name, size);
}

int make(int type) { return socket(AF_UNIX, type | SOCK_CLOEXEC, 0); }

int bound(int type, const std::string& where) {
  const Address address(where);
  const int fd = make(type);
  return bind(fd, address.get(), address.size) == 0 ? fd : -1;
}

int reach(int fd, const std::string& where) {
  const Address address(where);
  return connect(fd, address.get(), address.size) == 0 ? fd : -1;
}

/** The next message, or "EOF", "EAGAIN", an errno's number. */
std::string next(int fd) {
  char buffer[65536];
  const ssize_t count = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (count < 0) return errno == EAGAIN ? "EAGAIN" : std::to_string(errno);
  return count == 0 ? "EOF" : std::string(buffer, size_t(count));
}

bool say(int fd, const std::string& text) { return send(fd, text.data(), text.size(), MSG_NOSIGNAL) == ssize_t(text.size()); }

bool sayTo(int fd, const std::string& text, const std::string& where) {
  const Address address(where);
  return sendto(fd, text.data(), text.size(), 0, address.get(), address.size) == ssize_t(text.size());
}

/** Message and sender's name. */
std::string nextFrom(int fd) {
  char buffer[256];
  sockaddr_un name{};
  socklen_t size = sizeof name;
  const ssize_t count = recvfrom(fd, buffer, sizeof buffer, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&name), &size);
  return count < 0 ? "none" : std::string(buffer, size_t(count)) + "<" + textOf(name, size);
}

bool sendWith(int fd, const std::string& text, int passed) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec part{const_cast<char*>(text.data()), text.size()};
  msghdr header{};
  header.msg_iov = &part, header.msg_iovlen = 1, header.msg_control = control, header.msg_controllen = sizeof control;
  cmsghdr* item = CMSG_FIRSTHDR(&header);
  item->cmsg_level = SOL_SOCKET, item->cmsg_type = SCM_RIGHTS, item->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(item), &passed, sizeof passed);
  return sendmsg(fd, &header, 0) == ssize_t(text.size());
}

struct Taken {
  std::string text;
  int fd = -1;
  ucred sender{};
};

Taken take(int fd) {
  alignas(cmsghdr) char control[256];
  char buffer[256];
  iovec part{buffer, sizeof buffer};
  msghdr header{};
  header.msg_iov = &part, header.msg_iovlen = 1, header.msg_control = control, header.msg_controllen = sizeof control;
  const ssize_t count = recvmsg(fd, &header, MSG_DONTWAIT);
  Taken taken;
  if (count >= 0) taken.text.assign(buffer, size_t(count));
  for (cmsghdr* item = count < 0 ? nullptr : CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_type == SCM_RIGHTS) memcpy(&taken.fd, CMSG_DATA(item), sizeof taken.fd);
    if (item->cmsg_type == SCM_CREDENTIALS) memcpy(&taken.sender, CMSG_DATA(item), sizeof taken.sender);
  }
  return taken;
}

pid_t peerOf(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : -1;
}

int option(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

}  // namespace

int main() {
  char here[4096];
  REQUIRE(getcwd(here, sizeof here) != nullptr);
  const std::string path = std::string(here) + "/listen.sock", abstract = "@blcr-victim-" + std::to_string(getpid());

  int stream[2], packets[2], datagrams[2], halves[2], orphan[2], broken[2], carrier[2], tuned[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, stream) == 0 && say(stream[0], std::string(60000, 's')) && say(stream[1], "back"));
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets) == 0 && say(packets[0], "one") && say(packets[0], "two"));
  REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams) == 0 && say(datagrams[0], "alpha") && say(datagrams[0], "beta"));
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, halves) == 0 && say(halves[0], "last words") && shutdown(halves[0], SHUT_WR) == 0);
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, orphan) == 0 && say(orphan[1], "testament") && close(orphan[1]) == 0);
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, broken) == 0 && say(broken[0], "unread") && close(broken[1]) == 0);

  // Descriptors under way: one that is open here too, one that nobody else has any more, and a socket with a message of its own in it.
  const int shared = open("shared", O_RDWR | O_CREAT, 0600), lost = open("lost", O_RDWR | O_CREAT, 0600);
  int inner[2];
  REQUIRE(write(shared, "0123456789", 10) == 10 && lseek(shared, 4, SEEK_SET) == 4 && write(lost, "lost", 4) == 4);
  REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, inner) == 0 && say(inner[0], "nested") && unlink("lost") == 0);
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, carrier) == 0);
  REQUIRE(sendWith(carrier[0], "a", shared) && sendWith(carrier[0], "b", lost) && sendWith(carrier[0], "c", inner[1]));
  REQUIRE(say(carrier[0], "d") && close(lost) == 0 && close(inner[1]) == 0);

  // Credentials of a process that has ended, and options.
  int credited[2];
  const int on = 1, quarter = 40000, offset = 3;
  REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, credited) == 0 && setsockopt(credited[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
  const pid_t sender = fork();
  if (sender == 0) _exit(say(credited[0], "from a child") ? 0 : 1);
  int status = 0;
  REQUIRE(waitpid(sender, &status, 0) == sender && status == 0);
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, tuned) == 0 && say(tuned[1], "abcdef"));
  const timeval seconds{7, 0};
  REQUIRE(setsockopt(tuned[0], SOL_SOCKET, SO_RCVTIMEO, &seconds, sizeof seconds) == 0);
  REQUIRE(setsockopt(tuned[0], SOL_SOCKET, SO_SNDBUF, &quarter, sizeof quarter) == 0);
  REQUIRE(setsockopt(tuned[0], SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) == 0);

  // Connections by name, their listening sockets, and clients that wait.
  const int server = bound(SOCK_STREAM, path), relative = bound(SOCK_SEQPACKET, "relative.sock"), hidden = bound(SOCK_STREAM, abstract);
  REQUIRE(server >= 0 && relative >= 0 && hidden >= 0 && chmod(path.c_str(), 0640) == 0);
  REQUIRE(listen(server, 5) == 0 && listen(relative, 5) == 0 && listen(hidden, 5) == 0);
  const int client = reach(bound(SOCK_STREAM, "@client" + abstract), path), accepted = accept(server, nullptr, nullptr);
  const int packetClient = reach(make(SOCK_SEQPACKET), "relative.sock"), packetServer = accept(relative, nullptr, nullptr);
  const int hiddenClient = reach(make(SOCK_STREAM), abstract), hiddenServer = accept(hidden, nullptr, nullptr);
  REQUIRE(client >= 0 && accepted >= 0 && packetClient >= 0 && packetServer >= 0 && hiddenClient >= 0 && hiddenServer >= 0);
  REQUIRE(say(client, "to the server") && say(accepted, "to the client") && say(packetClient, "p1") && say(packetClient, "p2"));
  const int first = reach(make(SOCK_STREAM), path), second = reach(make(SOCK_STREAM), path);
  REQUIRE(first >= 0 && second >= 0);
  const int retired = bound(SOCK_STREAM, "retired.sock");
  REQUIRE(listen(retired, 1) == 0);
  const int pensioner = reach(make(SOCK_STREAM), "retired.sock"), remaining = accept(retired, nullptr, nullptr);
  REQUIRE(pensioner >= 0 && remaining >= 0 && close(retired) == 0 && unlink("retired.sock") == 0);

  // Datagrams by name.
  const int mailbox = bound(SOCK_DGRAM, "mailbox.sock"), writer = bound(SOCK_DGRAM, "writer.sock"), gone = bound(SOCK_DGRAM, "gone.sock");
  REQUIRE(mailbox >= 0 && writer >= 0 && gone >= 0);
  REQUIRE(sayTo(writer, "letter", "mailbox.sock") && sayTo(gone, "old letter", "mailbox.sock") && close(gone) == 0);
  REQUIRE(reach(writer, "mailbox.sock") == writer && unlink("gone.sock") == 0);

  awaitGo();

  REQUIRE(next(stream[1]) == std::string(60000, 's') && next(stream[0]) == "back" && next(stream[0]) == "EAGAIN");
  REQUIRE(next(packets[1]) == "one" && next(packets[1]) == "two" && next(packets[1]) == "EAGAIN");
  REQUIRE(next(datagrams[1]) == "alpha" && next(datagrams[1]) == "beta" && next(datagrams[1]) == "EAGAIN");
  REQUIRE(next(halves[1]) == "last words" && next(halves[1]) == "EOF" && say(halves[1], "answer") && next(halves[0]) == "answer");
  REQUIRE(!say(halves[0], "x") && errno == EPIPE);
  REQUIRE(next(orphan[0]) == "testament" && next(orphan[0]) == "EOF" && !say(orphan[0], "x") && errno == EPIPE);
  REQUIRE(next(broken[0]) == std::to_string(ECONNRESET) && next(broken[0]) == "EOF");
  REQUIRE(peerOf(stream[0]) == getpid() && peerOf(stream[1]) == getpid());

  const Taken a = take(carrier[1]), b = take(carrier[1]), c = take(carrier[1]), d = take(carrier[1]);
  char text[16] = {};
  REQUIRE(a.text == "a" && b.text == "b" && c.text == "c" && d.text == "d" && d.fd == -1);
  REQUIRE(read(a.fd, text, 2) == 2 && memcmp(text, "45", 2) == 0 && lseek(shared, 0, SEEK_CUR) == 6);
  REQUIRE(pread(b.fd, text, 4, 0) == 4 && memcmp(text, "lost", 4) == 0);
  REQUIRE(next(c.fd) == "nested" && say(inner[0], "again") && next(c.fd) == "again");

  const Taken credit = take(credited[1]);
  REQUIRE(credit.text == "from a child" && credit.sender.pid == sender && credit.sender.uid == getuid());
  REQUIRE(option(credited[1], SO_PASSCRED) == 1 && option(credited[0], SO_PASSCRED) == 0);
  timeval patience{};
  socklen_t size = sizeof patience;
  REQUIRE(getsockopt(tuned[0], SOL_SOCKET, SO_RCVTIMEO, &patience, &size) == 0 && patience.tv_sec == 7);
  REQUIRE(option(tuned[0], SO_SNDBUF) == 80000 && option(tuned[0], SO_PEEK_OFF) == 3);
  REQUIRE(recv(tuned[0], text, 3, MSG_PEEK) == 3 && memcmp(text, "def", 3) == 0 && next(tuned[0]) == "abcdef");

  REQUIRE(nameOf(server, getsockname) == path && nameOf(accepted, getsockname) == path && nameOf(client, getpeername) == path);
  REQUIRE(nameOf(client, getsockname) == "@client" + abstract && nameOf(accepted, getpeername) == "@client" + abstract);
  REQUIRE(nameOf(packetServer, getsockname) == "relative.sock" && nameOf(hiddenClient, getpeername) == abstract);
  REQUIRE(nameOf(pensioner, getpeername) == "retired.sock" && say(remaining, "still here") && next(pensioner) == "still here");
  REQUIRE(next(accepted) == "to the server" && next(client) == "to the client" && peerOf(client) == getpid() &&
          peerOf(accepted) == getpid());
  REQUIRE(next(packetServer) == "p1" && next(packetServer) == "p2" && say(hiddenServer, "h") && next(hiddenClient) == "h");
  struct stat info{};
  REQUIRE(stat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode) && (info.st_mode & 0777) == 0640);
  const int one = accept(server, nullptr, nullptr), two = accept(server, nullptr, nullptr);
  REQUIRE(one >= 0 && two >= 0 && say(first, "first") && say(second, "second") && next(one) == "first" && next(two) == "second");
  const int late = reach(make(SOCK_STREAM), path), served = accept(server, nullptr, nullptr);
  REQUIRE(late >= 0 && say(late, "late") && next(served) == "late" && option(server, SO_ACCEPTCONN) == 1);
  const int later = reach(make(SOCK_STREAM), abstract);
  REQUIRE(later >= 0 && accept(hidden, nullptr, nullptr) >= 0);

  REQUIRE(nextFrom(mailbox) == "letter<writer.sock" && nextFrom(mailbox) == "old letter<gone.sock");
  REQUIRE(say(writer, "more") && nextFrom(mailbox) == "more<writer.sock" && nameOf(writer, getpeername) == "mailbox.sock");
  puts("local sockets kept");
  return 0;
}
