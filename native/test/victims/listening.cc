// A program that listens: at a TCP port that it tells in the file `port`, an abstract name (argv[1]) and a path.
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "victim.h"

static int listening(const void* name, socklen_t size, int family) {
  const int fd = socket(family, SOCK_STREAM, 0);
  REQUIRE(bind(fd, static_cast<const sockaddr*>(name), size) == 0 && listen(fd, 3) == 0);
  return fd;
}

int main(int, char** argv) {
  sockaddr_in inet{};
  inet.sin_family = AF_INET;
  inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof inet;
  REQUIRE(getsockname(listening(&inet, size, AF_INET), reinterpret_cast<sockaddr*>(&inet), &size) == 0);
  sockaddr_un abstract{}, path{};
  abstract.sun_family = path.sun_family = AF_UNIX;
  strncpy(abstract.sun_path + 1, argv[1], sizeof abstract.sun_path - 2);
  strcpy(path.sun_path, "listening.sock");
  listening(&abstract, socklen_t(sizeof(sa_family_t) + 1 + strlen(argv[1])), AF_UNIX);
  listening(&path, sizeof path, AF_UNIX);
  FILE* file = fopen("port", "w");
  fprintf(file, "%d\n", ntohs(inet.sin_port));
  fclose(file);
  awaitGo();
  puts("listening");
  return 0;
}
