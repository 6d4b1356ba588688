#include "proc/inet_diag.h"

#include <linux/inet_diag.h>
#include <sys/socket.h>

#include "proc/netlink.h"

namespace blcr {
namespace {

void takeSocket(const char* at, size_t size, Shutdowns& into) {
  if (size < sizeof(inet_diag_msg)) return;
  const auto* socket = reinterpret_cast<const inet_diag_msg*>(at);
  const size_t fixed = NLMSG_ALIGN(sizeof(inet_diag_msg));
  if (size <= fixed) return;
  forEachAttribute(at + fixed, size - fixed, [&](int type, const char* data, size_t length) {
    if (type == INET_DIAG_SHUTDOWN) into[socket->idiag_inode] = attributeValue<uint8_t>(data, length);
  });
}

}  // namespace

bool takeShutdowns(std::string_view answer, Shutdowns& into) {
  while (answer.size() >= sizeof(nlmsghdr)) {
    const auto* header = reinterpret_cast<const nlmsghdr*>(answer.data());
    if (header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > answer.size()) return false;
    if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) return false;
    takeSocket(answer.data() + NLMSG_HDRLEN, header->nlmsg_len - NLMSG_HDRLEN, into);
    answer.remove_prefix(std::min<size_t>(NLMSG_ALIGN(header->nlmsg_len), answer.size()));
  }
  return true;
}

Result<Shutdowns> readShutdowns(int family, int protocol) {
  inet_diag_req_v2 wanted{};
  wanted.sdiag_family = uint8_t(family);
  wanted.sdiag_protocol = uint8_t(protocol);
  wanted.idiag_states = ~0u;
  auto link = askSockDiag(wanted, NLM_F_DUMP);
  if (!link) return link.error();
  Shutdowns found;
  alignas(nlmsghdr) char answer[32 * 1024];
  for (bool more = true; more;) {
    const ssize_t length = ::recv(link->get(), answer, sizeof answer, 0);
    if (length <= 0) return systemError("sock_diag");
    const auto* first = reinterpret_cast<const nlmsghdr*>(answer);
    if (size_t(length) >= sizeof *first && first->nlmsg_type == NLMSG_ERROR) return Error{ENOENT, "sock_diag does not know this protocol"};
    more = takeShutdowns({answer, size_t(length)}, found);
  }
  return found;
}

}  // namespace blcr
