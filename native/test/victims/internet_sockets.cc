// TCP and UDP inside the job. Runs in a scratch directory.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "victim.h"

namespace {

constexpr socklen_t kSize4 = sizeof(sockaddr_in), kSize6 = sizeof(sockaddr_in6);

struct Address {
  sockaddr_storage name{};
  socklen_t size = 0;
  bool operator==(const Address& other) const { return size == other.size && memcmp(&name, &other.name, size) == 0; }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }
  [[nodiscard]] uint16_t port() const { return ntohs(reinterpret_cast<const sockaddr_in&>(name).sin_port); }
};

Address at(const char* host, uint16_t port) {
  Address address;
  if (strchr(host, ':') != nullptr) {
    auto& inet = reinterpret_cast<sockaddr_in6&>(address.name);
    inet.sin6_family = AF_INET6, inet.sin6_port = htons(port);
    inet_pton(AF_INET6, host, &inet.sin6_addr);
    address.size = kSize6;
  } else {
    auto& inet = reinterpret_cast<sockaddr_in&>(address.name);
    inet.sin_family = AF_INET, inet.sin_port = htons(port);
    inet_pton(AF_INET, host, &inet.sin_addr);
    address.size = kSize4;
  }
  return address;
}

Address nameOf(int fd, decltype(getsockname)* ask = getsockname) {
  Address address;
  address.size = sizeof address.name;
  if (ask(fd, reinterpret_cast<sockaddr*>(&address.name), &address.size) != 0) address.size = 0;
  return address;
}

int bound(int type, const Address& where) {
  const int fd = socket(where.name.ss_family, type | SOCK_CLOEXEC, 0);
  return bind(fd, where.get(), where.size) == 0 ? fd : -1;
}

int listening(const char* host, bool reuse = false) {
  const Address where = at(host, 0);
  const int fd = socket(where.name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  if (reuse) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return bind(fd, where.get(), where.size) == 0 && listen(fd, 7) == 0 ? fd : -1;
}

int reach(const Address& where) {
  const int fd = socket(where.name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return connect(fd, where.get(), where.size) == 0 ? fd : -1;
}

bool say(int fd, const std::string& text) { return send(fd, text.data(), text.size(), MSG_NOSIGNAL) == ssize_t(text.size()); }

/** Fills both queues of a connection in one direction; the number of bytes. */
size_t fill(int fd) {
  std::string chunk(4096, '.');
  for (size_t i = 0; i < chunk.size(); ++i) chunk[i] = char('a' + i % 23);
  size_t total = 0;
  for (int quiet = 0; quiet < 3;) {
    const size_t phase = total % chunk.size();
    const ssize_t count = send(fd, chunk.data() + phase, chunk.size() - phase, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) total += size_t(count), quiet = 0;
    if (count <= 0) usleep(10000), ++quiet;
  }
  return total;
}

/** Reads exactly `total` bytes of what fill() wrote. */
bool drains(int fd, size_t total) {
  std::vector<char> buffer(65536);
  size_t seen = 0;
  while (seen < total) {
    pollfd entry{fd, POLLIN, 0};
    if (poll(&entry, 1, 5000) != 1) return false;
    const ssize_t count = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count <= 0) return false;
    for (ssize_t i = 0; i < count; ++i, ++seen)
      if (buffer[size_t(i)] != char('a' + seen % 4096 % 23)) return false;
  }
  return true;
}

std::string next(int fd) {
  char buffer[4096];
  pollfd entry{fd, POLLIN, 0};
  if (poll(&entry, 1, 3000) != 1) return "silence";
  const ssize_t count = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (count < 0) return std::to_string(errno);
  return count == 0 ? "EOF" : std::string(buffer, size_t(count));
}

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

void set(int fd, int level, int name, int value) { REQUIRE(setsockopt(fd, level, name, &value, sizeof value) == 0); }

struct Connection {
  int client, server;
  Address clientName, serverName;
  Connection(int listener, const Address& where) : client(reach(where)), server(accept(listener, nullptr, nullptr)) {
    REQUIRE(client >= 0 && server >= 0);
    clientName = nameOf(client);
    serverName = nameOf(server);
  }
  [[nodiscard]] bool sameNames() const {
    return nameOf(client) == clientName && nameOf(server) == serverName && nameOf(client, getpeername).port() == serverName.port() &&
           nameOf(server, getpeername).port() == clientName.port();
  }
};

bool hasIpv6() {
  const int fd = bound(SOCK_DGRAM, at("::1", 0));
  return fd >= 0 && close(fd) == 0;
}

}  // namespace

int main() {
  const int any = listening("0.0.0.0", true), local = listening("127.0.0.1");
  REQUIRE(any >= 0 && local >= 0);
  const Address anyName = nameOf(any), localName = nameOf(local);
  const Connection plain(any, at("127.0.0.1", anyName.port())), full(local, localName), half(any, at("127.0.0.2", anyName.port()));
  const Connection closed(local, localName), over(local, localName), tight(local, localName);
  REQUIRE(say(plain.client, "to the server") && say(plain.server, "to the client"));
  const size_t flood = fill(full.client), back = fill(full.server);
  // More than the receiver, whose size the program has fixed, takes: the rest stays with the sender.
  set(tight.server, SOL_SOCKET, SO_RCVBUF, 65536);
  set(tight.client, SOL_SOCKET, SO_SNDBUF, 1 << 19);
  const size_t squeeze = fill(tight.client);
  REQUIRE(say(half.client, "last words") && shutdown(half.client, SHUT_WR) == 0);
  REQUIRE(shutdown(over.client, SHUT_WR) == 0 && shutdown(over.server, SHUT_WR) == 0);
  REQUIRE(say(closed.server, "testament") && close(closed.server) == 0);
  const int retired = listening("127.0.0.1");
  const Connection pensioner(retired, nameOf(retired));
  close(retired);
  const int waiting = reach(localName);
  REQUIRE(waiting >= 0);
  const Address waitingName = nameOf(waiting);

  const int fresh = socket(AF_INET, SOCK_STREAM, 0), boundOnly = bound(SOCK_STREAM, at("127.0.0.1", 0));
  set(fresh, IPPROTO_TCP, TCP_NODELAY, 1);
  set(fresh, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(fresh, IPPROTO_TCP, TCP_KEEPIDLE, 77);
  set(fresh, IPPROTO_IP, IP_TOS, 0x10);
  set(fresh, SOL_SOCKET, SO_RCVBUF, 30000);
  const linger lingering{1, 9};
  REQUIRE(setsockopt(fresh, SOL_SOCKET, SO_LINGER, &lingering, sizeof lingering) == 0);
  set(plain.server, IPPROTO_TCP, TCP_NODELAY, 1);
  const Address boundName = nameOf(boundOnly);

  const int mailbox = bound(SOCK_DGRAM, at("0.0.0.0", 0)), writer = bound(SOCK_DGRAM, at("127.0.0.1", 0));
  const Address mailboxName = at("127.0.0.1", nameOf(mailbox).port()), writerName = nameOf(writer);
  REQUIRE(sendto(writer, "one", 3, 0, mailboxName.get(), mailboxName.size) == 3);
  REQUIRE(connect(writer, mailboxName.get(), mailboxName.size) == 0 && say(writer, "two") && say(writer, "three"));
  REQUIRE(sendto(mailbox, "reply", 5, 0, writerName.get(), writerName.size) == 5);
  sock_filter code[] = {{BPF_RET | BPF_K, 0, 0, 0xffff}};
  const sock_fprog program{1, code};
  REQUIRE(setsockopt(mailbox, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);

  const ip_mreqn group{{htonl(0xefff1234)}, {htonl(INADDR_LOOPBACK)}, 0};
  REQUIRE(setsockopt(mailbox, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) == 0);

  const bool six = hasIpv6();
  const int dual = six ? listening("::") : -1, only = six ? socket(AF_INET6, SOCK_STREAM, 0) : -1;
  const Connection mapped(six ? dual : any, at("127.0.0.1", nameOf(six ? dual : any).port()));
  const Connection sixth(six ? dual : any, at(six ? "::1" : "127.0.0.1", nameOf(six ? dual : any).port()));
  if (six) set(only, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  REQUIRE(say(mapped.client, "mapped") && say(sixth.server, "sixth"));

  const int poller = epoll_create1(EPOLL_CLOEXEC);
  epoll_event entry{EPOLLIN | EPOLLET, {.u64 = 7}};
  REQUIRE(epoll_ctl(poller, EPOLL_CTL_ADD, pensioner.server, &entry) == 0);
  REQUIRE(fcntl(pensioner.server, F_SETFL, O_NONBLOCK) == 0 && fcntl(pensioner.client, F_SETOWN, getpid()) == 0);

  awaitGo();

  REQUIRE(nameOf(any) == anyName && nameOf(local) == localName && option(any, SOL_SOCKET, SO_REUSEADDR) == 1);
  REQUIRE(option(local, SOL_SOCKET, SO_REUSEADDR) == 0 && option(any, SOL_SOCKET, SO_ACCEPTCONN) == 1);
  for (const Connection* each : {&plain, &full, &tight, &half, &pensioner, &mapped, &sixth}) REQUIRE(each->sameNames());
  REQUIRE(next(plain.server) == "to the server" && next(plain.client) == "to the client");
  REQUIRE(option(plain.server, IPPROTO_TCP, TCP_NODELAY) == 1 && option(plain.client, IPPROTO_TCP, TCP_NODELAY) == 0);
  REQUIRE(drains(full.server, flood) && drains(full.client, back) && say(full.client, "after") && next(full.server) == "after");
  REQUIRE(option(tight.server, SOL_SOCKET, SO_RCVBUF) == 131072 && drains(tight.server, squeeze) && say(tight.client, "after"));
  REQUIRE(next(tight.server) == "after");
  REQUIRE(next(half.server) == "last words" && next(half.server) == "EOF" && say(half.server, "answer") && next(half.client) == "answer");
  REQUIRE(!say(half.client, "x") && errno == EPIPE);
  REQUIRE(next(closed.client) == "testament" && next(closed.client) == "EOF");
  for (const int end : {over.client, over.server}) REQUIRE(next(end) == "EOF" && !say(end, "x") && errno == EPIPE);
  const int accepted = accept(local, nullptr, nullptr);
  REQUIRE(accepted >= 0 && nameOf(accepted, getpeername) == waitingName && nameOf(waiting) == waitingName);
  REQUIRE(say(waiting, "patience") && next(accepted) == "patience");
  const int late = reach(localName), served = accept(local, nullptr, nullptr);
  REQUIRE(say(late, "late") && next(served) == "late");

  linger kept{};
  socklen_t size = sizeof kept;
  REQUIRE(option(fresh, IPPROTO_TCP, TCP_NODELAY) == 1 && option(fresh, SOL_SOCKET, SO_KEEPALIVE) == 1);
  REQUIRE(option(fresh, IPPROTO_TCP, TCP_KEEPIDLE) == 77 && option(fresh, IPPROTO_IP, IP_TOS) == 0x10);
  REQUIRE(option(fresh, SOL_SOCKET, SO_RCVBUF) == 60000);
  REQUIRE(getsockopt(fresh, SOL_SOCKET, SO_LINGER, &kept, &size) == 0 && kept.l_onoff == 1 && kept.l_linger == 9);
  REQUIRE(nameOf(boundOnly) == boundName && listen(boundOnly, 1) == 0 && reach(boundName) >= 0);
  REQUIRE(connect(fresh, localName.get(), localName.size) == 0);

  Address from;
  char text[16];
  for (const char* expected : {"one", "two", "three"}) {
    from.size = sizeof from.name;
    const ssize_t count = recvfrom(mailbox, text, sizeof text, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from.name), &from.size);
    REQUIRE(count == ssize_t(strlen(expected)) && memcmp(text, expected, size_t(count)) == 0 && from == writerName);
  }
  REQUIRE(setsockopt(mailbox, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof group) == 0);
  REQUIRE(next(writer) == "reply" && say(writer, "more") && next(mailbox) == "more");
  size = 0;
  REQUIRE(getsockopt(mailbox, SOL_SOCKET, SO_GET_FILTER, nullptr, &size) == 0 && size == 1);

  REQUIRE(next(mapped.server) == "mapped" && next(sixth.client) == "sixth");
  if (six) REQUIRE(option(only, IPPROTO_IPV6, IPV6_V6ONLY) == 1 && option(dual, IPPROTO_IPV6, IPV6_V6ONLY) == 0);
  while (epoll_wait(poller, &entry, 1, 0) == 1) {
  }
  REQUIRE(say(pensioner.client, "edge") && epoll_wait(poller, &entry, 1, 3000) == 1 && entry.data.u64 == 7);
  REQUIRE(next(pensioner.server) == "edge" && fcntl(pensioner.server, F_GETFL) == (O_RDWR | O_NONBLOCK));
  REQUIRE(fcntl(pensioner.client, F_GETOWN) == getpid());
  puts("internet sockets kept");
  return 0;
}
