// Holds all kinds of things that have a path below `old`, which is called `new` afterwards. argv[1]: the directory that both are in.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#include "victim.h"

namespace {

std::string linkOf(const std::string& name) {
  char path[4096];
  const ssize_t length = readlink(("/proc/self/" + name).c_str(), path, sizeof path);
  return std::string(path, length > 0 ? size_t(length) : 0);
}

std::string linkOf(int fd) { return linkOf("fd/" + std::to_string(fd)); }

sockaddr_un addressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

int listenAt(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  const sockaddr_un address = addressOf(path);
  REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && listen(fd, 4) == 0);
  return fd;
}

void acceptsAt(int listener, const std::string& path) {
  const int client = socket(AF_UNIX, SOCK_STREAM, 0);
  const sockaddr_un address = addressOf(path);
  REQUIRE(connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(accept(listener, nullptr, nullptr) >= 0);
}

std::string nameOf(int socket) {
  sockaddr_un address{};
  socklen_t length = sizeof address;
  REQUIRE(getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  return address.sun_path;
}

std::string mappedPaths() {
  std::ifstream maps("/proc/self/maps");
  std::stringstream text;
  text << maps.rdbuf();
  return text.str();
}

}  // namespace

int main(int, char** argv) {
  const std::string home = argv[1], before = home + "/old", after = home + "/new";
  REQUIRE(chdir(before.c_str()) == 0 && mkdir("sub", 0700) == 0 && mkfifo("fifo", 0600) == 0);
  const int data = open("data", O_RDWR | O_CREAT | O_APPEND, 0600), named = open("data", O_PATH), sub = open("sub", O_RDONLY | O_DIRECTORY);
  REQUIRE(write(data, "one\n", 4) == 4 && flock(data, LOCK_EX) == 0);
  const int backing = open("map", O_RDWR | O_CREAT, 0600), gone = open("gone", O_RDWR | O_CREAT, 0600), fifo = open("fifo", O_RDWR);
  REQUIRE(ftruncate(backing, 8192) == 0 && write(gone, "gone", 4) == 4 && unlink("gone") == 0 && write(fifo, "queued", 6) == 6);
  char* shared = static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, backing, 0));
  char* own = static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, backing, 0));
  REQUIRE(shared != MAP_FAILED && own != MAP_FAILED && close(backing) == 0);
  own[0] = 'o';
  const int absolute = listenAt(before + "/absolute"), relative = listenAt("relative");
  const int watching = inotify_init1(IN_NONBLOCK);
  REQUIRE(inotify_add_watch(watching, "sub", IN_CREATE) >= 0);
  close(open((home + "/ready").c_str(), O_CREAT | O_WRONLY, 0600));
  while (access((home + "/go").c_str(), F_OK) != 0) usleep(2000);

  char here[4096], text[16];
  REQUIRE(getcwd(here, sizeof here) != nullptr && here == after);
  REQUIRE(linkOf("exe") == after + "/program");
  REQUIRE(linkOf(data) == after + "/data" && linkOf(named) == after + "/data" && linkOf(sub) == after + "/sub");
  REQUIRE(linkOf(fifo) == after + "/fifo" && read(fifo, text, sizeof text) == 6 && memcmp(text, "queued", 6) == 0);
  REQUIRE(write(data, "two\n", 4) == 4 && pread(gone, text, sizeof text, 0) == 4 && memcmp(text, "gone", 4) == 0);
  const int again = open("data", O_RDONLY);
  REQUIRE(read(again, text, sizeof text) == 8 && memcmp(text, "one\ntwo\n", 8) == 0 && flock(again, LOCK_EX | LOCK_NB) == -1);
  shared[0] = 's';
  const int content = open("map", O_RDONLY);
  REQUIRE(read(content, text, 1) == 1 && text[0] == 's' && own[0] == 'o');
  REQUIRE(mappedPaths().find(before + "/") == std::string::npos);
  acceptsAt(absolute, after + "/absolute");
  acceptsAt(relative, "relative");
  REQUIRE(nameOf(absolute) == after + "/absolute" && nameOf(relative) == "relative");
  close(open("sub/new", O_CREAT | O_WRONLY, 0600));
  char event[sizeof(inotify_event) + 256];
  REQUIRE(read(watching, event, sizeof event) > 0);
  puts("moved");
  return 0;
}
