// Victims with sockets.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/socket_address.h"
#include "survive.h"

TEST(localSockets) { surviveWhenReady("local_sockets", "local sockets kept\n"); }
TEST(localSocketsForked) { surviveWhenReady("local_sockets", "local sockets kept\n", blcr::Snapshot::kFork); }
TEST(internetSockets) { surviveWhenReady("internet_sockets", "internet sockets kept\n"); }
TEST(internetSocketsForked) { surviveWhenReady("internet_sockets", "internet sockets kept\n", blcr::Snapshot::kFork); }

TEST(connectionsToTheOutsideAreLetGo) {
  char directory[] = "/tmp/outside-XXXXXX";
  CHECK(mkdtemp(directory) != nullptr && chmod(directory, 0755) == 0);
  const auto bound = [](int type, const std::string& name) {
    const blcr::SocketAddress address(name);
    blcr::UniqueFd fd(socket(address.family(), type, 0));
    CHECK(bind(fd.get(), address.get(), address.size()) == 0);
    return fd;
  };
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string stream = std::string(directory) + "/stream", log = std::string(directory) + "/log";
  const blcr::UniqueFd server = bound(SOCK_STREAM, std::string(reinterpret_cast<const char*>(&any), sizeof any));
  const blcr::UniqueFd local = bound(SOCK_STREAM, blcr::localName(stream)), mailbox = bound(SOCK_DGRAM, blcr::localName(log));
  CHECK(chmod(stream.c_str(), 0666) == 0 && chmod(log.c_str(), 0666) == 0);
  CHECK(listen(server.get(), 8) == 0 && listen(local.get(), 8) == 0);
  roundtrip::Job job;
  job.command = {victims() + "outside", std::to_string(blcr::portOf(blcr::addressOf(server.get(), getsockname))), stream, log};
  job.intervalMs = 20;
  job.tellsReady = job.closesConnections = true;
  survive(job, "outside let go\n");
  char text[16];
  CHECK(recv(mailbox.get(), text, sizeof text, MSG_DONTWAIT) == 6 && std::memcmp(text, "logged", 6) == 0);
  std::filesystem::remove_all(directory);
}

CHECK_MAIN
