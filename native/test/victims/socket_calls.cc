// Calls on sockets that are under way at the checkpoint, in threads and in another process. Runs in a scratch directory.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "victim.h"

namespace {

sockaddr_in loopback() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

sockaddr_in nameOf(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return address;
}

int bound(int type) {
  const sockaddr_in any = loopback();
  const int fd = socket(AF_INET, type, 0);
  REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0);
  return fd;
}

int reach(const sockaddr_in& where) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  return connect(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0 ? fd : -1;
}

sockaddr_un pathOf(const char* path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  strncpy(name.sun_path, path, sizeof name.sun_path - 1);
  return name;
}

int reachPath(const char* path) {
  const sockaddr_un name = pathOf(path);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  return connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ? fd : -1;
}

std::atomic<int> done{0};
std::vector<std::thread> calls;

/** A thread that is inside `call` when this returns, or about to be. */
void begin(const std::function<bool()>& call) {
  std::atomic<int> tid{0};
  calls.emplace_back([&tid, call, number = int(calls.size())] {
    tid = gettid();
    const bool good = call();
    if (!good) printf("call %d: errno %d\n", number, errno);
    REQUIRE(good);
    ++done;
  });
  while (tid == 0) usleep(100);
  usleep(3000);  // an earlier checkpoint would find a call that has yet to begin, which is just as good
}

volatile sig_atomic_t asked, askedBy;

pid_t peerOf(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : -1;
}

}  // namespace

int main() {
  const int server = bound(SOCK_STREAM), mailbox = bound(SOCK_DGRAM);
  REQUIRE(listen(server, 8) == 0);
  const sockaddr_in serverName = nameOf(server), mailboxName = nameOf(mailbox);
  int pair[2], full[2], watched[2], owned[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, full) == 0);
  REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, watched) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, owned) == 0);

  // A server in another process, which is also the one to have made its socket; and a backlog that is full.
  const pid_t child = fork();
  if (child == 0) {
    const sockaddr_un name = pathOf("child.sock"), crowded = pathOf("crowded.sock");
    const int local = socket(AF_UNIX, SOCK_STREAM, 0), narrow = socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(bind(local, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 && listen(local, 4) == 0);
    REQUIRE(bind(narrow, reinterpret_cast<const sockaddr*>(&crowded), sizeof crowded) == 0 && listen(narrow, 0) == 0);
    REQUIRE(write(pair[1], "c", 1) == 1);
    const int first = accept(local, nullptr, nullptr), second = accept(local, nullptr, nullptr);
    REQUIRE(first >= 0 && second >= 0 && peerOf(second) == getppid());
    char byte = 0;
    REQUIRE(recv(second, &byte, 1, 0) == 1 && byte == 'q');
    REQUIRE(accept(narrow, nullptr, nullptr) >= 0 && accept(narrow, nullptr, nullptr) >= 0);
    _exit(send(second, "r", 1, 0) == 1 ? 0 : 1);
  }
  char byte = 0;
  REQUIRE(read(pair[0], &byte, 1) == 1 && byte == 'c');
  const int early = reachPath("child.sock"), waiting = reachPath("crowded.sock");
  REQUIRE(early >= 0 && waiting >= 0 && peerOf(early) == child);

  std::string block(1 << 20, 'b');
  begin([&] { return accept(server, nullptr, nullptr) >= 0; });
  begin([&] { return recv(pair[0], &byte, 1, 0) == 1 && byte == 'p'; });
  begin([&] {
    char text[8];
    return recvfrom(mailbox, text, sizeof text, 0, nullptr, nullptr) == 3;
  });
  begin([&] {  // a call that has sent a part is ended by any stop, as by one of a debugger: send(2)
    size_t sent = 0;
    for (ssize_t count = 0; sent < block.size() && count >= 0; sent += size_t(count))
      count = send(full[0], &block[sent], block.size() - sent, 0);
    return sent == block.size();
  });
  begin([&] { return reachPath("crowded.sock") >= 0; });
  const int poller = epoll_create1(0);
  epoll_event entry{EPOLLIN | EPOLLONESHOT, {.u64 = 5}};
  REQUIRE(epoll_ctl(poller, EPOLL_CTL_ADD, watched[0], &entry) == 0);
  begin([&] {
    epoll_event seen{};
    return epoll_wait(poller, &seen, 1, -1) == 1 && seen.data.u64 == 5;
  });
  struct sigaction action{};
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    askedBy = info->si_fd;
    asked = 1;
  };
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  REQUIRE(fcntl(owned[0], F_SETOWN, getpid()) == 0 && fcntl(owned[0], F_SETSIG, SIGUSR1) == 0);
  REQUIRE(fcntl(owned[0], F_SETFL, O_ASYNC | O_NONBLOCK) == 0);

  awaitGo();

  REQUIRE(done == 0);
  REQUIRE(reach(serverName) >= 0 && write(pair[1], "p", 1) == 1);
  REQUIRE(sendto(mailbox, "udp", 3, 0, reinterpret_cast<const sockaddr*>(&mailboxName), sizeof mailboxName) == 3);
  std::string drained(block.size(), '\0');
  REQUIRE(recv(full[1], drained.data(), drained.size(), MSG_WAITALL) == ssize_t(drained.size()) && drained == block);
  REQUIRE(send(watched[1], "w", 1, 0) == 1 && send(owned[1], "o", 1, 0) == 1);
  const int question = reachPath("child.sock");
  REQUIRE(question >= 0 && peerOf(question) == child && send(question, "q", 1, 0) == 1);
  REQUIRE(recv(question, &byte, 1, 0) == 1 && byte == 'r');
  for (std::thread& call : calls) call.join();
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child && status == 0);
  REQUIRE(asked == 1 && askedBy == owned[0]);
  puts("calls on sockets kept");
  return 0;
}
