// Socket options that newer kernels have, or that few programs set; what is counted or waits because of an option.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "sockets.h"

namespace holds {
namespace {

// linux/in6.h and asm-generic/socket.h, which the oldest supported systems have without some of these names
constexpr int kMaxPacing = 47, kZeroCopy = 60, kStamps = 63, kNanoStamps = 64, kStamping = 65, kRehash = 74, kReceiveMark = 75,
              kReceivePriority = 82, kUnicastDevice = 50, kUnicastDevice6 = 76, kFlowInfo = 11, kOldInfo = 2, kOldHops = 8,
              kIsolateAlert = 30, kRtoMin = 45, kDelayedMax = 46, kCork = 1, kEncapsulation = 100;

void newerOptions() {
  struct Setting {
    int fd, level, name, value;
  };
  const auto datagrams = [](int family) { return socket(family, SOCK_DGRAM, 0); };
  const int tcp = socket(AF_INET, SOCK_STREAM, 0), one = datagrams(AF_INET), two = datagrams(AF_INET), wide = datagrams(AF_INET6);
  const int device = int(htonl(1));  // lo
  const Setting settings[] = {{tcp, SOL_SOCKET, kMaxPacing, 123456},
                              {tcp, SOL_SOCKET, kRehash, 0},
                              {tcp, IPPROTO_TCP, TCP_WINDOW_CLAMP, 20000},
                              {tcp, IPPROTO_TCP, kRtoMin, 52000},
                              {tcp, IPPROTO_TCP, kDelayedMax, 52000},
                              {one, SOL_SOCKET, kStamps, 1},
                              {two, SOL_SOCKET, kNanoStamps, 1},
                              {wide, SOL_SOCKET, kStamping, 0x18},
                              {one, SOL_SOCKET, kReceiveMark, 1},
                              {one, SOL_SOCKET, kReceivePriority, 1},
                              {one, IPPROTO_IP, kUnicastDevice, device},
                              {wide, IPPROTO_IPV6, kUnicastDevice6, device},
                              {wide, IPPROTO_IPV6, kFlowInfo, 1},
                              {wide, IPPROTO_IPV6, kOldInfo, 1},
                              {wide, IPPROTO_IPV6, kOldHops, 1},
                              {wide, IPPROTO_IPV6, kIsolateAlert, 1},
                              {two, IPPROTO_UDP, kCork, 1},
                              {one, IPPROTO_UDP, kEncapsulation, 2}};
  for (const Setting& each : settings) static_cast<void>(turn(each.fd, each.level, each.name, each.value));  // not all are known everywhere
  const auto read = [&] {
    std::vector<int> values;
    for (const Setting& each : settings) values.push_back(option(each.fd, each.level, each.name));
    return values;
  };
  const auto before = read();
  REQUIRE(before[0] == 123456 && before[2] == 20000);
  hold();
  REQUIRE(read() == before);
}

/** Headers that go with every datagram; only root may set them. */
void headersOfDatagrams() {
  const int wide = socket(AF_INET6, SOCK_DGRAM, 0);
  const unsigned char padding[8] = {0, 0, 1, 4, 0, 0, 0, 0};
  if (setsockopt(wide, IPPROTO_IPV6, IPV6_DSTOPTS, padding, sizeof padding) != 0) notHere();
  REQUIRE(setsockopt(wide, IPPROTO_IPV6, IPV6_HOPOPTS, padding, sizeof padding) == 0);
  hold();
  for (const int name : {IPV6_DSTOPTS, IPV6_HOPOPTS}) {
    unsigned char now[64];
    socklen_t size = sizeof now;
    REQUIRE(getsockopt(wide, IPPROTO_IPV6, name, now, &size) == 0 && size == sizeof padding && memcmp(now, padding, size) == 0);
  }
}

struct Connection {
  int client = socket(AF_INET, SOCK_STREAM, 0), server = -1;
  Connection() {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(binds(listener, loopback()) && listen(listener, 1) == 0 && reaches(client, ownName(listener)));
    server = accept(listener, nullptr, nullptr);
    close(listener);
    if (!turn(client, SOL_SOCKET, kZeroCopy, 1)) notHere();
  }

  /** Sends and has it acknowledged; a notification then waits. */
  void sendUncopied() const {
    constexpr int kUncopied = 0x4000000;  // MSG_ZEROCOPY
    REQUIRE(send(client, "text", 4, kUncopied) == 4 && take(server, 4) == "text");
    pollfd told{client, 0, 0};
    until([&] { return poll(&told, 1, 0) == 1 && (told.revents & POLLERR) != 0; });
  }

  [[nodiscard]] bool isNotified() const {
    char control[256];
    msghdr message{};
    message.msg_control = control, message.msg_controllen = sizeof control;
    return recvmsg(client, &message, MSG_ERRQUEUE | MSG_DONTWAIT) == 0;
  }
};

void uncopiedUnread() {
  const Connection connection;
  connection.sendUncopied();
  hold();
  REQUIRE(connection.isNotified());
}

void uncopiedCounted() {
  const Connection connection;
  connection.sendUncopied();
  REQUIRE(connection.isNotified());
  hold();
  REQUIRE(says(connection.client, "more") && take(connection.server, 4) == "more");
}

const Case kNewer(
    Supported{"newerOptions", "descriptors",
              "options of sockets for pacing, time stamps, marks, outgoing devices, flow information, windows, UDP_CORK, UDP_ENCAP",
              "restored"},
    newerOptions);
const Case kHeaders(Supported{"headersOfDatagrams", "descriptors", "IPv6 extension headers that go with every datagram", "restored"},
                    headersOfDatagrams);
const Case kUnread(Supported{"uncopiedUnread", "descriptors", "notifications of MSG_ZEROCOPY that wait to be read",
                             "refused: notifications that it asked for"},
                   uncopiedUnread);
const Case kCounted(Supported{"uncopiedCounted", "descriptors", "a connection that has sent without copying (SO_ZEROCOPY)",
                              "refused: its notifications are counted"},
                    uncopiedCounted);

}  // namespace
}  // namespace holds
