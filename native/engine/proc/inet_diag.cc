#include "proc/inet_diag.h"

#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include "base/unique_fd.h"
#include "proc/netlink.h"

namespace blcr {
namespace {

struct Request {
  nlmsghdr header;
  inet_diag_req_v2 diag;
};

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
  const UniqueFd link(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!link) return systemError("sock_diag");
  Request request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.diag.sdiag_family = uint8_t(family);
  request.diag.sdiag_protocol = uint8_t(protocol);
  request.diag.idiag_states = ~0u;
  if (::send(link.get(), &request, sizeof request, 0) != ssize_t(sizeof request)) return systemError("sock_diag");
  Shutdowns found;
  alignas(nlmsghdr) char answer[32 * 1024];
  for (bool more = true; more;) {
    const ssize_t length = ::recv(link.get(), answer, sizeof answer, 0);
    if (length <= 0) return systemError("sock_diag");
    const auto* first = reinterpret_cast<const nlmsghdr*>(answer);
    if (size_t(length) >= sizeof *first && first->nlmsg_type == NLMSG_ERROR) return Error{ENOENT, "sock_diag does not know this protocol"};
    more = takeShutdowns({answer, size_t(length)}, found);
  }
  return found;
}

}  // namespace blcr
