// Connections with a peer outside the job, which the checkpoint lets go. argv[1]: a TCP port of 127.0.0.1, argv[2], argv[3]: paths of a
// listening and of a datagram socket.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "victim.h"

static int reachPath(int type, const char* path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  strncpy(name.sun_path, path, sizeof name.sun_path - 1);
  const int fd = socket(AF_UNIX, type, 0);
  return connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ? fd : -1;
}

int main(int, char** argv) {
  sockaddr_in server{};
  server.sin_family = AF_INET;
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  server.sin_port = htons(uint16_t(atoi(argv[1])));
  const int far = socket(AF_INET, SOCK_STREAM, 0), local = reachPath(SOCK_STREAM, argv[2]), log = reachPath(SOCK_DGRAM, argv[3]);
  REQUIRE(connect(far, reinterpret_cast<const sockaddr*>(&server), sizeof server) == 0 && local >= 0 && log >= 0);
  awaitGo();
  char byte = 0;
  pollfd entry{far, POLLIN | POLLOUT, 0};
  REQUIRE(poll(&entry, 1, 0) == 1 && (entry.revents & (POLLERR | POLLHUP)) == (POLLERR | POLLHUP));
  REQUIRE(recv(far, &byte, 1, 0) == -1 && errno == ECONNRESET && recv(far, &byte, 1, 0) == 0);
  REQUIRE(send(far, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
  REQUIRE(recv(local, &byte, 1, 0) == 0 && send(local, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
  REQUIRE(send(log, "logged", 6, MSG_DONTWAIT) == 6);
  puts("outside let go");
  return 0;
}
