// Sockets that cannot be carried are refused by name, and the job goes on.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/codes.h"
#include "base/socket_address.h"
#include "dump_harness.h"

using namespace harness;

namespace {

sockaddr_in loopback() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int listenSomewhere() {
  const sockaddr_in any = loopback();
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  return bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0 && listen(fd, 4) == 0 ? fd : -1;
}

int reach(const std::string& name, int type = SOCK_STREAM) {
  const SocketAddress address(name);
  const int fd = socket(address.family(), type, 0);
  return connect(fd, address.get(), address.size()) == 0 ? fd : -1;
}

/** The victim has its socket as descriptor 3. */
void refused(const Victim::Body& setUp, const std::string& words, int code = kErrorNoSupport) {
  const Victim victim(setUp);
  CHECK(victim.ready());
  if (!victim.ready()) return;
  const Dumped dumped = dump(victim.pid(), Snapshot::kFork);
  CHECK(!dumped.good && dumped.error.code == code);
  const std::string& detail = dumped.error.detail;
  const bool named = detail.find("process " + std::to_string(victim.pid()) + " descriptor 3") != std::string::npos;
  CHECK(named && detail.find(words) != std::string::npos);
  if (!named || detail.find(words) == std::string::npos) std::printf("  %s\n", detail.c_str());
  CHECK(kill(victim.pid(), 0) == 0);
}

int stay(const std::function<void()>& ready, bool good) {
  if (!good) return 1;
  ready();
  return pauseForever();
}

}  // namespace

TEST(connections_to_the_outside) {
  const UniqueFd server(listenSomewhere());
  const std::string name = addressOf(server.get(), getsockname);
  refused([&](const auto& ready) { return stay(ready, reach(name) == 3); }, addressText(name) + " outside the job (--tcp close");
  const UniqueFd local(socket(AF_UNIX, SOCK_STREAM, 0));
  const sa_family_t family = AF_UNIX;  // the kernel chooses a name
  CHECK(bind(local.get(), reinterpret_cast<const sockaddr*>(&family), sizeof family) == 0 && listen(local.get(), 4) == 0);
  const std::string abstract = addressOf(local.get(), getsockname);
  refused([&](const auto& ready) { return stay(ready, reach(abstract) == 3); },
          "outside the job (" + addressText(abstract) + ") (--unix close");
}

TEST(clients_from_the_outside) {
  std::string name;
  int told[2];
  CHECK(pipe2(told, O_CLOEXEC) == 0);
  UniqueFd tell(fcntl(told[1], F_DUPFD_CLOEXEC, 950));  // a victim keeps those
  close(told[1]);
  const Victim victim([&](const auto& ready) {
    const int fd = listenSomewhere();
    const std::string own = addressOf(fd, getsockname);
    return stay(ready, write(tell.get(), own.data(), own.size()) > 0 && close(tell.release()) == 0);
  });
  tell.reset();
  char text[128];
  name.assign(text, size_t(std::max<ssize_t>(read(told[0], text, sizeof text), 0)));
  const UniqueFd client(reach(name));
  CHECK(client);
  const Dumped dumped = dump(victim.pid(), Snapshot::kFork);
  CHECK(!dumped.good && dumped.error.detail.find("waits to be accepted at " + addressText(name)) != std::string::npos);
  const Dumped closing = dump(victim.pid(), Snapshot::kFork, [](DumpRequest& request) { request.tcp = ConnectionPolicy::kClose; });
  CHECK(closing.good);
}

TEST(data_before_the_connection_is_accepted) {
  refused(
      [](const auto& ready) {
        const int server = listenSomewhere(), client = reach(addressOf(server, getsockname));
        return stay(ready, server == 3 && write(client, "x", 1) == 1);
      },
      "has data in it", kErrorTemporary);
  refused(
      [](const auto& ready) {
        const int server = socket(AF_UNIX, SOCK_STREAM, 0);
        const sa_family_t family = AF_UNIX;
        if (bind(server, reinterpret_cast<const sockaddr*>(&family), sizeof family) != 0 || listen(server, 1) != 0) return 1;
        return stay(ready, server == 3 && write(reach(addressOf(server, getsockname)), "x", 1) == 1);
      },
      "has data in it", kErrorTemporary);
}

TEST(families) {
  const struct {
    int family, type, protocol;
    const char* words;
  } kinds[] = {{AF_NETLINK, SOCK_RAW, 0, "a netlink socket"},
               {AF_ALG, SOCK_SEQPACKET, 0, "cryptography"},
               {AF_VSOCK, SOCK_STREAM, 0, "a vsock socket"},
               {AF_PACKET, SOCK_DGRAM, 0, "a packet socket"},
               {AF_INET, SOCK_RAW, IPPROTO_UDP, "a raw socket"}};
  for (const auto& kind : kinds) {
    if (!UniqueFd(socket(kind.family, kind.type, kind.protocol))) continue;  // not in this kernel, or not for this user
    refused([&](const auto& ready) { return stay(ready, socket(kind.family, kind.type, kind.protocol) == 3); }, kind.words);
  }
}

TEST(queues_are_left_as_they_were) {
  const Victim victim([](const auto& ready) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0 || write(pair[0], "one", 3) != 3 || write(pair[0], "two", 3) != 3) return 1;
    static volatile sig_atomic_t go;
    signal(SIGUSR1, [](int) { go = 1; });
    ready();
    while (go == 0) usleep(1000);
    char text[8];
    int passes = -1, offset = 0;
    socklen_t size = sizeof passes;
    getsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &passes, &size);
    getsockopt(pair[1], SOL_SOCKET, SO_PEEK_OFF, &offset, &size);
    const bool same = read(pair[1], text, 8) == 3 && text[0] == 'o' && read(pair[1], text, 8) == 3 && text[0] == 't';
    return same && passes == 0 && offset == -1 ? 42 : 2;
  });
  for (int round = 0; round < 2; ++round) CHECK(dump(victim.pid(), Snapshot::kFork).good);
  kill(victim.pid(), SIGUSR1);
  CHECK(const_cast<Victim&>(victim).join() == 42);
}

/** The kernel shows an empty message to one look only: a second checkpoint must not take the queue for shorter than it is. */
TEST(empty_messages_are_seen_once) {
  Victim victim([](const auto& ready) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0) return 1;
    for (const char* text : {"one", "", "two"})
      if (send(pair[0], text, strlen(text), 0) < 0) return 1;
    static volatile sig_atomic_t go;
    signal(SIGUSR1, [](int) { go = go + 1; });
    ready();
    while (go == 0) usleep(1000);
    char text[8];
    for (const ssize_t length : {3, 0, 3})
      if (recv(pair[1], text, sizeof text, MSG_DONTWAIT) != length) return 2;
    while (go == 1) usleep(1000);
    return 42;
  });
  CHECK(dump(victim.pid(), Snapshot::kFork).good);
  const Dumped again = dump(victim.pid(), Snapshot::kFork);
  CHECK(!again.good && again.error.code == kErrorTemporary && again.error.detail.find("an empty message") != std::string::npos);
  kill(victim.pid(), SIGUSR1);
  bool good = false;
  for (int tries = 0; tries < 1000 && !good; ++tries, usleep(1000)) good = dump(victim.pid(), Snapshot::kFork).good;
  CHECK(good);
  kill(victim.pid(), SIGUSR1);
  CHECK(victim.join() == 42);
}

/** Begun by root, as supervisors do, and then an ordinary user's: whose restart could not make the pair again as root's. */
TEST(peers_whom_only_root_can_restart) {
  if (geteuid() != 0) return;
  constexpr uid_t kOrdinary = 1000;
  std::fflush(stdout);
  const pid_t keeper = fork();
  if (keeper == 0) {
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0 && dup2(pair[0], 940) == 940 && dup2(pair[1], 941) == 941);
    CHECK(setresgid(kOrdinary, kOrdinary, kOrdinary) == 0 && setresuid(kOrdinary, kOrdinary, kOrdinary) == 0);
    prctl(PR_SET_DUMPABLE, 1);
    refused([](const auto& ready) { return stay(ready, dup(940) == 3 && dup(941) == 4 && close(940) == 0 && close(941) == 0); },
            "SO_PEERCRED tells of user 0, group 0, whom only root can restart");
    _exit(check::failures() == 0 ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(keeper, &status, 0) == keeper && status == 0);
}

CHECK_MAIN
