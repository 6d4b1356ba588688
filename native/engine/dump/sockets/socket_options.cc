#include "dump/sockets/socket_options.h"

#include <linux/filter.h>
#include <linux/ipv6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <cstring>
#include <span>

#include "base/codes.h"
#include "dump/sockets/memberships.h"
#include "dump/sockets/rare_options.h"

// Newer than the headers of the oldest supported systems. Source: the kernel's uapi headers of the same names.
#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif
#ifndef IP_RECVFRAGSIZE
#define IP_RECVFRAGSIZE 25
#endif
#ifndef IP_RECVERR_RFC4884
#define IP_RECVERR_RFC4884 26
#endif
#ifndef IPV6_RECVERR_RFC4884
#define IPV6_RECVERR_RFC4884 31
#endif
#ifndef IPV6_FLOWINFO_SEND
#define IPV6_FLOWINFO_SEND 33
#endif
#ifndef TCP_FASTOPEN_NO_COOKIE
#define TCP_FASTOPEN_NO_COOKIE 34
#endif
#ifndef TCP_TX_DELAY
#define TCP_TX_DELAY 37
#endif
#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44
#endif
#ifndef UDP_GRO
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif

namespace blcr {
namespace {

// In the order in which they are set: SO_BUF_LOCK after the sizes, which lock themselves.
constexpr int kSocketLevel[] = {
    SO_REUSEADDR, SO_REUSEPORT,   SO_KEEPALIVE,   SO_BROADCAST,    SO_OOBINLINE, SO_DONTROUTE,  SO_LINGER,     SO_MARK,
    SO_RCVLOWAT,  SO_RCVTIMEO,    SO_SNDTIMEO,    SO_SNDBUF,       SO_RCVBUF,    SO_BUF_LOCK,   SO_PASSCRED,   SO_PASSSEC,
    SO_PASSPIDFD, SO_TIMESTAMP,   SO_TIMESTAMPNS, SO_TIMESTAMPING, SO_RXQ_OVFL,  SO_NO_CHECK,   SO_PEEK_OFF,   SO_SELECT_ERR_QUEUE,
    SO_BUSY_POLL, SO_WIFI_STATUS, SO_ZEROCOPY,    SO_BINDTODEVICE, SO_TXTIME,    SO_PASSRIGHTS, SO_LOCK_FILTER};
// Last of all: the kernel derives it from IP_TOS whenever that is set.
constexpr int kAfterAddressFamily[] = {SO_PRIORITY};
constexpr int kIpLevel[] = {IP_TOS,
                            IP_TTL,
                            IP_MTU_DISCOVER,
                            IP_RECVERR,
                            IP_PKTINFO,
                            IP_RECVTTL,
                            IP_RECVTOS,
                            IP_RECVOPTS,
                            IP_RETOPTS,
                            IP_RECVORIGDSTADDR,
                            IP_FREEBIND,
                            IP_TRANSPARENT,
                            IP_MINTTL,
                            IP_NODEFRAG,
                            IP_CHECKSUM,
                            IP_BIND_ADDRESS_NO_PORT,
                            IP_LOCAL_PORT_RANGE,
                            IP_RECVFRAGSIZE,
                            IP_RECVERR_RFC4884,
                            IP_PASSSEC,
                            IP_OPTIONS};
constexpr int kIpv6Level[] = {IPV6_V6ONLY,          IPV6_TCLASS,           IPV6_UNICAST_HOPS, IPV6_RECVPKTINFO,  IPV6_RECVERR,
                              IPV6_RECVHOPLIMIT,    IPV6_RECVTCLASS,       IPV6_RECVRTHDR,    IPV6_RECVHOPOPTS,  IPV6_RECVDSTOPTS,
                              IPV6_RECVORIGDSTADDR, IPV6_MTU_DISCOVER,     IPV6_FREEBIND,     IPV6_TRANSPARENT,  IPV6_DONTFRAG,
                              IPV6_AUTOFLOWLABEL,   IPV6_ADDR_PREFERENCES, IPV6_MINHOPCOUNT,  IPV6_RECVFRAGSIZE, IPV6_RECVPATHMTU,
                              IPV6_FLOWINFO_SEND,   IPV6_RECVERR_RFC4884};
// Streams cannot set them, and those that were accepted have values of their own.
constexpr int kIpMulticast[] = {IP_MULTICAST_TTL, IP_MULTICAST_LOOP, IP_MULTICAST_ALL, IP_MULTICAST_IF};
constexpr int kIpv6Multicast[] = {IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP, IPV6_MULTICAST_IF, IPV6_MULTICAST_ALL};
constexpr int kTcpLevel[] = {TCP_NODELAY,
                             TCP_CORK,
                             TCP_KEEPIDLE,
                             TCP_KEEPINTVL,
                             TCP_KEEPCNT,
                             TCP_SYNCNT,
                             TCP_LINGER2,
                             TCP_DEFER_ACCEPT,
                             TCP_CONGESTION,
                             TCP_USER_TIMEOUT,
                             TCP_FASTOPEN,
                             TCP_FASTOPEN_CONNECT,
                             TCP_NOTSENT_LOWAT,
                             TCP_INQ,
                             TCP_SAVE_SYN,
                             TCP_THIN_LINEAR_TIMEOUTS,
                             TCP_FASTOPEN_NO_COOKIE,
                             TCP_TX_DELAY,
                             TCP_RTO_MAX_MS};
constexpr int kWishes[] = {TCP_MAXSEG};
constexpr int kUdpLiteLevel[] = {10 /* UDPLITE_SEND_CSCOV */, 11 /* UDPLITE_RECV_CSCOV */};  // linux/udp.h does not have them
constexpr int kUdpLevel[] = {UDP_SEGMENT, UDP_GRO, 101 /* UDP_NO_CHECK6_TX */, 102 /* UDP_NO_CHECK6_RX */};

void readLevel(int fd, int level, std::span<const int> names, std::vector<image::SocketOption>& into) {
  for (const int name : names) {
    char value[64] = {};
    socklen_t size = sizeof value;
    if (::getsockopt(fd, level, name, value, &size) != 0 || size == 0) continue;
    into.push_back({level, name, std::string(value, size)});
  }
}

/** Sizes that the kernel itself adapts are not the program's: setting them would end that. */
void forgetOwnSizes(int type, std::vector<image::SocketOption>& options) {
  constexpr int kSendLocked = 1, kReceiveLocked = 2;  // SOCK_SNDBUF_LOCK, SOCK_RCVBUF_LOCK
  int locked = type == SOCK_STREAM ? 0 : kSendLocked | kReceiveLocked;
  for (const image::SocketOption& option : options)
    if (option.level == SOL_SOCKET && option.name == SO_BUF_LOCK) std::memcpy(&locked, option.value.data(), sizeof locked);
  std::erase_if(options, [&](const image::SocketOption& option) {
    if (option.level != SOL_SOCKET) return false;
    return (option.name == SO_SNDBUF && (locked & kSendLocked) == 0) || (option.name == SO_RCVBUF && (locked & kReceiveLocked) == 0);
  });
}

/** Classic filters can be read back as they were given. Source: socket(7), SO_GET_FILTER shares the number of SO_ATTACH_FILTER. */
Status readFilter(int fd, std::vector<image::SocketOption>& into) {
  socklen_t count = 0;
  if (::getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, nullptr, &count) != 0) {
    if (errno == EACCES) return Error{kErrorNoSupport, "an eBPF filter is attached to it"};
    return {};
  }
  if (count == 0) return {};
  std::string program(count * sizeof(sock_filter), '\0');
  if (::getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, program.data(), &count) != 0) return systemError("its filter");
  into.push_back({SOL_SOCKET, SO_ATTACH_FILTER, std::move(program)});
  return {};
}

/** Of a connection, also of one that has ended, it is what was agreed upon; before, it is the program's wish. */
bool tellsWishes(int fd) {
  tcp_info info{};
  sockaddr_in peer{};
  socklen_t size = sizeof info, peerSize = sizeof peer;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
  return info.tcpi_state == TCP_LISTEN ||
         (info.tcpi_state == TCP_CLOSE && ::getsockopt(fd, SOL_SOCKET, SO_PEERNAME, &peer, &peerSize) != 0);
}

}  // namespace

Result<std::vector<image::SocketOption>> readSocketOptions(int fd, int domain, int type, int protocol) {
  std::vector<image::SocketOption> options;
  BLCR_TRY(readFilter(fd, options));
  readLevel(fd, SOL_SOCKET, kSocketLevel, options);
  forgetOwnSizes(domain == AF_UNIX ? SOCK_DGRAM : type, options);
  if (domain != AF_UNIX) readLevel(fd, IPPROTO_IP, kIpLevel, options);
  readLevel(fd, SOL_SOCKET, kAfterAddressFamily, options);
  const bool isConnection = domain != AF_UNIX && type == SOCK_STREAM && !tellsWishes(fd);
  readRareOptions(fd, domain, type, protocol, isConnection, options);
  if (domain == AF_UNIX) return options;
  if (domain == AF_INET6) readLevel(fd, IPPROTO_IPV6, kIpv6Level, options);
  if (type == SOCK_STREAM) readLevel(fd, IPPROTO_TCP, kTcpLevel, options);
  if (type == SOCK_STREAM && !isConnection) readLevel(fd, IPPROTO_TCP, kWishes, options);
  if (type == SOCK_DGRAM) readLevel(fd, IPPROTO_IP, kIpMulticast, options);
  if (type == SOCK_DGRAM && domain == AF_INET6) readLevel(fd, IPPROTO_IPV6, kIpv6Multicast, options);
  if (protocol == IPPROTO_UDP) readLevel(fd, IPPROTO_UDP, kUdpLevel, options);
  if (protocol == IPPROTO_UDPLITE) readLevel(fd, IPPROTO_UDPLITE, kUdpLiteLevel, options);
  if (type == SOCK_DGRAM) BLCR_TRY(readMemberships(fd, domain, options));
  if (type != SOCK_STREAM) return options;
  int repaired = 0;
  socklen_t size = sizeof repaired;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &repaired, &size) == 0 && repaired == 1)
    return Error{kErrorNoSupport, "its connection is under repair (TCP_REPAIR)"};
  char layer[16] = {};
  size = sizeof layer;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_ULP, layer, &size) == 0 && size > 0 && layer[0] != 0)
    return Error{kErrorNoSupport, std::string("its data goes through the kernel's layer \"") + layer + "\""};
  return options;
}

}  // namespace blcr
