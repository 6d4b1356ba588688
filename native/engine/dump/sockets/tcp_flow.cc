#include "dump/sockets/tcp_flow.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <optional>

#include "base/clock.h"
#include "base/tcp_room.h"

namespace blcr {
namespace {

constexpr int kPatienceMs = 300;  // more than the 200 that TCP_CORK may hold back an incomplete segment

std::optional<tcp_info> readInfo(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  if (size < offsetof(tcp_info, tcpi_bytes_retrans) + sizeof info.tcpi_bytes_retrans) return std::nullopt;  // before Linux 4.19
  return info;
}

/** Source: tcp_rcv_nxt_update() of the kernel: the end of the stream counts as one byte. */
bool sawEnd(const tcp_info& info) {
  constexpr int kCloseWait = 8, kLastAck = 9, kClosing = 11;  // include/net/tcp_states.h
  return info.tcpi_state == kCloseWait || info.tcpi_state == kLastAck || info.tcpi_state == kClosing;
}

bool isSettled(int sender, int receiver) {
  const auto from = readInfo(sender), to = readInfo(receiver);
  int left = 0;
  if (!from || !to) return ::ioctl(sender, SIOCOUTQ, &left) == 0 && left == 0;
  const uint64_t written = from->tcpi_bytes_sent - from->tcpi_bytes_retrans + from->tcpi_notsent_bytes;
  return to->tcpi_bytes_received - (sawEnd(*to) ? 1 : 0) >= written;
}

}  // namespace

Status settleFlow(int sender, int receiver) {
  ReceiverRoom room(receiver);
  for (int waited = 0; !isSettled(sender, receiver); ++waited) {
    if (waited == kPatienceMs) return Error{EAGAIN, "data that was sent to it does not arrive"};
    if (waited > 0) room.offer();
    sleepUs(1000);
  }
  return {};
}

}  // namespace blcr
