// Internet sockets whose state shows in few places: directions that were shut, options changed since a bind, addresses of ended
// connections.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "sockets.h"

namespace holds {
namespace {

int bound(int type, int protocol = 0) {
  const int fd = socket(AF_INET, type, protocol);
  REQUIRE(fd < 0 || binds(fd, loopback()));
  return fd;
}

std::string formerPeer(int fd) {
  return addressOf(fd, [](int of, sockaddr* address, socklen_t* size) {
    *size = sizeof(sockaddr_in);  // asking for more than there is fails
    return getsockopt(of, SOL_SOCKET, SO_PEERNAME, address, size);
  });
}

void shutDatagrams() {
  const int one = bound(SOCK_DGRAM), two = bound(SOCK_DGRAM);
  REQUIRE(reaches(one, ownName(two)) && reaches(two, ownName(one)));
  REQUIRE(shutdown(one, SHUT_WR) == 0 && shutdown(two, SHUT_RD) == 0 && says(two, "queued"));
  hold();
  REQUIRE(hears(one) == "queued" && says(two, "later") && hears(one) == "later" && hears(one) == "nothing");
  REQUIRE(!says(one, "x") && errno == EPIPE);
  pollfd ended{two, POLLRDHUP, 0};
  REQUIRE(poll(&ended, 1, 0) == 1);
}

/** Two listen at one port; one of them could not begin to today. */
void sharedPort() {
  int servers[2];
  for (int& server : servers) {
    server = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(turn(server, SOL_SOCKET, SO_REUSEPORT, 1) && binds(server, &server == servers ? loopback() : ownName(servers[0])));
    REQUIRE(listen(server, 4) == 0);
  }
  int boxes[2];
  for (int& box : boxes) {
    box = socket(AF_INET, SOCK_DGRAM, 0);
    REQUIRE(turn(box, SOL_SOCKET, SO_REUSEADDR, 1) && binds(box, &box == boxes ? loopback() : ownName(boxes[0])));
  }
  REQUIRE(turn(servers[0], SOL_SOCKET, SO_REUSEPORT, 0) && turn(boxes[1], SOL_SOCKET, SO_REUSEADDR, 0));
  hold();
  REQUIRE(option(servers[0], SOL_SOCKET, SO_REUSEPORT) == 0 && option(servers[1], SOL_SOCKET, SO_REUSEPORT) == 1);
  REQUIRE(option(servers[0], SOL_SOCKET, SO_REUSEADDR) == 0 && ownName(servers[0]) == ownName(servers[1]));
  REQUIRE(option(boxes[0], SOL_SOCKET, SO_REUSEADDR) == 1 && option(boxes[1], SOL_SOCKET, SO_REUSEADDR) == 0);
  REQUIRE(ownName(boxes[0]) == ownName(boxes[1]) && reaches(socket(AF_INET, SOCK_STREAM, 0), ownName(servers[0])));
  pollfd both[] = {{servers[0], POLLIN, 0}, {servers[1], POLLIN, 0}};
  REQUIRE(poll(both, 2, -1) == 1);
}

/** Bound when it was allowed to be, to an address that no host has. */
void foreignAddress() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  REQUIRE(inet_pton(AF_INET, "192.0.2.77", &address.sin_addr) == 1);
  const std::string foreign(reinterpret_cast<const char*>(&address), sizeof address);
  const int box = socket(AF_INET, SOCK_DGRAM, 0), server = socket(AF_INET, SOCK_STREAM, 0);
  for (const int fd : {box, server})
    REQUIRE(turn(fd, IPPROTO_IP, IP_FREEBIND, 1) && binds(fd, foreign) && turn(fd, IPPROTO_IP, IP_FREEBIND, 0));
  const std::string boxName = ownName(box), serverName = ownName(server);
  REQUIRE(listen(server, 1) == 0);
  const int portless = socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(turn(portless, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1) && binds(portless, loopback()));
  hold();
  REQUIRE(ownName(box) == boxName && ownName(server) == serverName && option(server, SOL_SOCKET, SO_ACCEPTCONN) == 1);
  REQUIRE(option(box, IPPROTO_IP, IP_FREEBIND) == 0 && ownName(portless) == loopback());
}

/** One connection that both ends have ended, one that its client has left, one that is half shut. */
void endedConnections() {
  const int server = bound(SOCK_STREAM);
  int clients[3], accepted[3];
  std::string names[3];
  REQUIRE(listen(server, 3) == 0);
  for (int at = 0; at < 3; ++at) {
    clients[at] = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(reaches(clients[at], ownName(server)) && (accepted[at] = accept(server, nullptr, nullptr)) >= 0);
    names[at] = ownName(clients[at]);
  }
  REQUIRE(says(clients[0], "last") && shutdown(clients[0], SHUT_WR) == 0 && shutdown(accepted[0], SHUT_WR) == 0);
  REQUIRE(says(clients[1], "left") && close(clients[1]) == 0);
  REQUIRE(shutdown(clients[2], SHUT_RDWR) == 0);
  for (const int fd : {clients[0], accepted[0], accepted[1], accepted[2]}) {
    pollfd ended{fd, POLLRDHUP, 0};
    REQUIRE(poll(&ended, 1, -1) == 1);
  }
  hold();
  REQUIRE(hears(accepted[0]) == "last" && hears(accepted[0]).empty() && hears(clients[0]).empty());
  REQUIRE(!says(accepted[0], "x") && errno == EPIPE && !says(clients[0], "x") && errno == EPIPE);
  REQUIRE(ownName(clients[0]) == names[0] && formerPeer(clients[0]) == ownName(server));
  REQUIRE(ownName(accepted[0]) == ownName(server) && formerPeer(accepted[0]) == names[0]);
  REQUIRE(peersName(accepted[1]) == names[1] && ownName(accepted[1]) == ownName(server));
  REQUIRE(hears(accepted[1]) == "left" && hears(accepted[1]).empty());
  REQUIRE(hears(clients[2]).empty() && !says(clients[2], "x") && errno == EPIPE && hears(accepted[2]).empty());
}

void liteDatagrams() {
  const int one = bound(SOCK_DGRAM, IPPROTO_UDPLITE), two = bound(SOCK_DGRAM, IPPROTO_UDPLITE);
  if (one < 0) notHere();
  constexpr int kSendCoverage = 10;
  REQUIRE(turn(one, IPPROTO_UDPLITE, kSendCoverage, 16) && reaches(one, ownName(two)) && says(one, "queued"));
  hold();
  REQUIRE(hears(two) == "queued" && option(one, IPPROTO_UDPLITE, kSendCoverage) == 16);
  REQUIRE(option(two, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_UDPLITE && says(one, "later") && hears(two) == "later");
}

/** One has an address only because it is connected, as the sockets of resolvers. */
void wideDatagrams() {
  const int server = socket(AF_INET6, SOCK_DGRAM, 0), client = socket(AF_INET6, SOCK_DGRAM, 0), both = socket(AF_INET6, SOCK_DGRAM, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  const auto named = [&] { return std::string(reinterpret_cast<const char*>(&address), sizeof address); };
  REQUIRE(binds(both, named()));
  address.sin6_addr = in6addr_loopback;
  if (!binds(server, named())) notHere();
  REQUIRE(reaches(client, ownName(server)) && says(client, "queued"));
  const std::string name = ownName(client);
  hold();
  REQUIRE(ownName(client) == name && hearsFrom(server) == "queued" + name && says(client, "later") && hears(server) == "later");
  const uint16_t port = reinterpret_cast<const sockaddr_in6*>(ownName(both).data())->sin6_port;
  const int narrow = socket(AF_INET, SOCK_DGRAM, 0);
  REQUIRE(reaches(narrow, loopback(ntohs(port))) && says(narrow, "mapped") && hears(both) == "mapped");
}

/** Options that few programs set. */
void rareOptions() {
  struct Setting {
    int fd, level, name, value;
  };
  const int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), wide = socket(AF_INET6, SOCK_DGRAM, 0);
  constexpr int kReceiveFragmentSize = 25, kReceiveLongErrors = 26, kSendFlow = 33, kNoCookie = 34, kDelay = 37;
  const Setting settings[] = {
      {tcp, IPPROTO_TCP, TCP_MAXSEG, 1000},       {tcp, IPPROTO_TCP, kNoCookie, 1},         {tcp, IPPROTO_TCP, kDelay, 3000},
      {udp, IPPROTO_IP, kReceiveFragmentSize, 1}, {udp, IPPROTO_IP, kReceiveLongErrors, 1}, {wide, IPPROTO_IPV6, IPV6_RECVPATHMTU, 1},
      {wide, IPPROTO_IPV6, kSendFlow, 1},         {udp, IPPROTO_IP, IP_TOS, 0x10},          {udp, SOL_SOCKET, SO_PRIORITY, 5}};
  constexpr size_t kCount = sizeof settings / sizeof settings[0];
  int before[kCount];
  for (size_t at = 0; at < kCount; ++at) {
    const Setting& each = settings[at];
    static_cast<void>(turn(each.fd, each.level, each.name, each.value));  // kernels do not know all of them
    before[at] = option(each.fd, each.level, each.name);
  }
  REQUIRE(before[0] == 1000 && binds(tcp, loopback()) && listen(tcp, 1) == 0);
  hold();
  for (size_t at = 0; at < kCount; ++at) REQUIRE(option(settings[at].fd, settings[at].level, settings[at].name) == before[at]);
}

const Case kRare(Supported{"rareOptions", "descriptors", "rare options of TCP and UDP sockets", "restored"}, rareOptions);
const Case kShut(Supported{"shutDatagrams", "descriptors", "UDP sockets that were shut down in one direction", "restored"}, shutDatagrams);
const Case kShared(Supported{"sharedPort", "descriptors", "TCP and UDP sockets that share a port, with options changed since", "restored"},
                   sharedPort);
const Case kForeign(Supported{"foreignAddress", "descriptors", "sockets bound to an address of no host (`IP_FREEBIND`), or without a port",
                              "restored"},
                    foreignAddress);
const Case kEnded(Supported{"endedConnections", "descriptors", "TCP connections that have ended, with their addresses", "restored"},
                  endedConnections);
const Case kWide(Supported{"wideDatagrams", "descriptors", "IPv6 UDP sockets: connected without having been bound, and for IPv4 too",
                           "restored"},
                 wideDatagrams);
const Case kLite(Supported{"liteDatagrams", "descriptors", "UDP-Lite sockets", "restored"}, liteDatagrams);

}  // namespace
}  // namespace holds
