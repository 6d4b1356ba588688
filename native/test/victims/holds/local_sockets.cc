// AF_UNIX sockets whose names in the file system are gone, were taken by something else, or lead elsewhere; and who is connected with whom.
#include <sys/epoll.h>

#include "sockets.h"

namespace holds {
namespace {

int datagram() { return socket(AF_UNIX, SOCK_DGRAM, 0); }

pid_t credentialsOf(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : -1;
}

/** Pairs of its own, and a connection with a child. */
void peerCredentials() {
  int pair[2], sent[2];
  Pipe go, up;
  const int server = socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sent) == 0);
  REQUIRE(binds(server, pathName("server")) && listen(server, 1) == 0);
  const pid_t child = spawn([&] {
    const int client = socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(reaches(client, pathName("server")));
    const std::string before = peerOf(client);
    put(up.write, "x");
    take(go.read, 1);
    REQUIRE(peerOf(client) == before);
  });
  const int accepted = accept(server, nullptr, nullptr);
  REQUIRE(accepted >= 0 && take(up.read, 1) == "x");
  const pid_t waiting = spawn([&] {  // accepted after a restart only
    const int client = socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(reaches(client, pathName("server")) && put(up.write, "x") == 0 && take(client, 1) == "y");
  });
  REQUIRE(take(up.read, 1) == "x");
  const int all[] = {pair[0], pair[1], sent[0], accepted, server};
  std::vector<std::string> before;
  for (const int fd : all) before.push_back(peerOf(fd));
  REQUIRE(before[0].starts_with(std::to_string(getpid()) + " ") && before[3].starts_with(std::to_string(child) + " "));
  hold();
  for (size_t at = 0; at < before.size(); ++at) REQUIRE(peerOf(all[at]) == before[at]);
  const int late = accept(server, nullptr, nullptr);
  REQUIRE(late >= 0 && credentialsOf(late) == waiting && put(late, "y") == 0 && endsWell(waiting));
  REQUIRE(put(go.write, "x") == 0 && endsWell(child));
}

/** Two receivers of one name, both without a file, and the directory is gone too. */
void lostNames() {
  const std::string name = pathName(home() + "/room/box");
  REQUIRE(mkdir("room", 0700) == 0);
  int boxes[2], writers[2];
  for (int at = 0; at < 2; ++at) {
    boxes[at] = datagram(), writers[at] = datagram();
    REQUIRE(binds(boxes[at], name) && reaches(writers[at], name) && says(writers[at], at == 0 ? "first" : "second"));
    const int passer = datagram();
    REQUIRE(binds(passer, pathName("passer")) && reaches(passer, name) && says(passer, "passing"));
    REQUIRE(close(passer) == 0 && unlink("passer") == 0 && unlink("room/box") == 0);
  }
  REQUIRE(rmdir("room") == 0);
  hold();
  REQUIRE(access("room", F_OK) != 0);
  for (int at = 0; at < 2; ++at) {
    REQUIRE(ownName(boxes[at]) == name && peersName(writers[at]) == name && ownName(writers[at]).size() == sizeof(sa_family_t));
    REQUIRE(hears(boxes[at]) == (at == 0 ? "first" : "second") && hearsFrom(boxes[at]) == "passing" + pathName("passer"));
  }
  for (int at = 0; at < 2; ++at) REQUIRE(says(writers[at], "later") && hears(boxes[at]) == "later" && hears(boxes[1 - at]) == "nothing");
}

void takenNames() {
  const int box = datagram(), writer = datagram(), server = socket(AF_UNIX, SOCK_SEQPACKET, 0), early = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  REQUIRE(binds(box, pathName("box")) && reaches(writer, pathName("box")) && unlink("box") == 0 && mkfifo("box", 0600) == 0);
  REQUIRE(binds(server, pathName("server")) && listen(server, 3) == 0 && reaches(early, pathName("server")) && unlink("server") == 0);
  REQUIRE(close(open("server", O_CREAT | O_WRONLY, 0600)) == 0);
  hold();
  struct stat info{};
  REQUIRE(stat("box", &info) == 0 && S_ISFIFO(info.st_mode) && stat("server", &info) == 0 && S_ISREG(info.st_mode));
  REQUIRE(says(writer, "through") && hears(box) == "through" && peersName(writer) == pathName("box"));
  const int accepted = accept(server, nullptr, nullptr);
  REQUIRE(accepted >= 0 && says(early, "packet") && hears(accepted) == "packet" && ownName(accepted) == pathName("server"));
}

/** Whoever accepts them is told who they are. */
void clientsOfUnlinked() {
  const int server = socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(mkdir("room", 0700) == 0 && binds(server, pathName(home() + "/room/door")) && listen(server, 3) == 0);
  Pipe go, up;
  pid_t clients[2];
  for (pid_t& client : clients) {
    client = spawn([&] {
      const int own = socket(AF_UNIX, SOCK_STREAM, 0);
      REQUIRE(reaches(own, pathName(home() + "/room/door")));
      const std::string before = peerOf(own);
      REQUIRE(put(up.write, "x") == 0 && take(go.read, 1) == "x" && peerOf(own) == before && take(own, 1) == "y");
      REQUIRE(peersName(own) == pathName(home() + "/room/door"));
    });
    REQUIRE(take(up.read, 1) == "x");
  }
  REQUIRE(unlink("room/door") == 0 && rmdir("room") == 0);
  hold();
  for (const pid_t client : clients) {
    const int accepted = accept(server, nullptr, nullptr);
    REQUIRE(accepted >= 0 && credentialsOf(accepted) == client && ownName(accepted) == pathName(home() + "/room/door"));
    REQUIRE(put(accepted, "y") == 0 && put(go.write, "x") == 0);
  }
  for (const pid_t client : clients) REQUIRE(endsWell(client));
}

/** Whoever has made them is gone, or has closed its own descriptor. */
void leftByMakers() {
  int gone = -1, kept[2];
  Pipe go, up;
  const int server = socket(AF_UNIX, SOCK_STREAM, 0), other = socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(binds(server, pathName("server")) && binds(other, pathName("other")));
  REQUIRE(endsWell(spawn([&] { REQUIRE(listen(server, 3) == 0); })));
  const pid_t listener =
      spawn([&] { REQUIRE(listen(other, 3) == 0 && close(other) == 0 && put(up.write, "x") == 0 && take(go.read, 1) == "x"); });
  REQUIRE(take(up.read, 1) == "x" && (gone = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0 && reaches(gone, pathName("server")));
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, kept) == 0);
  const std::string before[] = {peerOf(server), peerOf(other), peerOf(gone)};
  hold();
  REQUIRE(peerOf(server) == before[0] && peerOf(other) == before[1] && peerOf(gone) == before[2]);
  REQUIRE(before[1].starts_with(std::to_string(listener) + " ") && put(go.write, "x") == 0 && endsWell(listener));
}

/** A connection of which several could be the maker: nobody is told before it is accepted. */
void waitingOfSeveral() {
  const int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(binds(server, pathName("server")) && listen(server, 3) == 0 && reaches(client, pathName("server")));
  Pipe go;
  const pid_t heir = spawn([&] { take(go.read, 1); });
  hold();
  REQUIRE(credentialsOf(accept(server, nullptr, nullptr)) == getpid() && put(go.write, "x") == 0 && endsWell(heir));
}

void dataBeforeAccept() {
  const int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(binds(server, loopback()) && listen(server, 1) == 0 && reaches(client, ownName(server)) && says(client, "early"));
  hold();
  const int accepted = accept(server, nullptr, nullptr);
  REQUIRE(accepted >= 0 && take(accepted) == "early");
}

/** Relative names, and nobody works where they lead from; nor may anybody write to one of the files any more. */
void leftDirectory() {
  const int server = socket(AF_UNIX, SOCK_STREAM, 0), box = datagram(), writer = datagram();
  const int log = open("log", O_CREAT | O_WRONLY, 0600);
  REQUIRE(log >= 0);
  REQUIRE(binds(server, pathName("server")) && listen(server, 1) == 0);
  REQUIRE(binds(box, pathName("box")) && reaches(writer, pathName("box")) && chmod("box", 0) == 0 && chdir("/") == 0);
  hold();
  struct stat info{};
  REQUIRE(stat((home() + "/box").c_str(), &info) == 0 && (info.st_mode & 0777) == 0 && says(writer, "x") && hears(box) == "x");
  const int client = socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(ownName(server) == pathName("server") && reaches(client, pathName(home() + "/server")) && accept(server, nullptr, nullptr) >= 0);
}

/** Whoever is connected hears its peer only: a chain, a pair that was made by hand, and one with itself. */
void chains() {
  int chain[3], mutual[2];
  for (int at = 2; at >= 0; --at) {
    chain[at] = datagram();
    REQUIRE(binds(chain[at], pathName("chain" + std::to_string(at))));
  }
  REQUIRE(reaches(chain[0], pathName("chain1")) && says(chain[0], "before") && reaches(chain[1], pathName("chain2")));
  for (int at = 0; at < 2; ++at) {
    mutual[at] = datagram();
    REQUIRE(binds(mutual[at], pathName("mutual" + std::to_string(at))));
  }
  REQUIRE(reaches(mutual[0], pathName("mutual1")) && reaches(mutual[1], pathName("mutual0")) && says(mutual[0], "one"));
  const int self = datagram();
  REQUIRE(binds(self, pathName("self")) && reaches(self, pathName("self")) && says(self, "to myself"));
  hold();
  REQUIRE(hears(chain[1]) == "before" && !says(chain[0], "x") && errno == EPERM);
  REQUIRE(says(chain[1], "on") && hearsFrom(chain[2]) == "on" + pathName("chain1") && peersName(chain[0]) == pathName("chain1"));
  REQUIRE(hears(mutual[1]) == "one" && says(mutual[1], "two") && hears(mutual[0]) == "two" && credentialsOf(mutual[0]) == 0);
  REQUIRE(hears(self) == "to myself" && says(self, "again") && hears(self) == "again" && peersName(self) == pathName("self"));
}

void deadPeers() {
  const int box = datagram(), writer = datagram();
  int pair[2];
  REQUIRE(binds(box, pathName("box")) && reaches(writer, pathName("box")) && binds(writer, pathName("writer")) && close(box) == 0);
  REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0 && binds(pair[1], pathName("end")) && says(pair[1], "farewell"));
  REQUIRE(close(pair[1]) == 0 && unlink("end") == 0);
  hold();
  REQUIRE(peersName(writer) == pathName("box") && ownName(writer) == pathName("writer") && !says(writer, "x") && errno == ECONNREFUSED);
  REQUIRE(peersName(pair[0]) == pathName("end") && hearsFrom(pair[0]) == "farewell" + pathName("end"));
  REQUIRE(!says(pair[0], "x") && errno == ECONNREFUSED);
}

/** An epoll instance that nobody holds: it lies in the queue of a socket that it watches. */
void passedEpoll() {
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
  int watcher = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = 77;
  REQUIRE(epoll_ctl(watcher, EPOLL_CTL_ADD, pair[1], &event) == 0);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  char byte = 'e';
  iovec part{&byte, 1};
  msghdr header{};
  header.msg_iov = &part, header.msg_iovlen = 1, header.msg_control = control, header.msg_controllen = sizeof control;
  cmsghdr* item = CMSG_FIRSTHDR(&header);
  item->cmsg_level = SOL_SOCKET, item->cmsg_type = SCM_RIGHTS, item->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(item), &watcher, sizeof watcher);
  REQUIRE(sendmsg(pair[0], &header, 0) == 1 && close(watcher) == 0);
  hold();
  header.msg_controllen = sizeof control;
  REQUIRE(recvmsg(pair[1], &header, 0) == 1);
  memcpy(&watcher, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof watcher);
  REQUIRE(says(pair[0], "wake") && epoll_wait(watcher, &event, 1, 0) == 1 && event.data.u64 == 77);
  REQUIRE(epoll_ctl(watcher, EPOLL_CTL_DEL, pair[1], nullptr) == 0);
}

void renamedFile() {
  const int server = socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(binds(server, pathName(home() + "/new")) && listen(server, 1) == 0 && rename("new", "final") == 0);
  hold();
  REQUIRE(reaches(socket(AF_UNIX, SOCK_STREAM, 0), pathName("final")) && accept(server, nullptr, nullptr) >= 0);
}

const Case kPeers(Supported{"peerCredentials", "descriptors",
                            "AF_UNIX sockets: process, user and groups of the other end (SO_PEERCRED, SO_PEERGROUPS)", "restored"},
                  peerCredentials);
const Case kUnlinked(Supported{"clientsOfUnlinked", "descriptors",
                               "AF_UNIX clients that wait to be accepted at a name that is gone: who they are", "restored"},
                     clientsOfUnlinked);
const Case kLeftBy(Supported{"leftByMakers", "descriptors",
                             "AF_UNIX sockets that a process listens at which has ended, or has closed them itself", "restored"},
                   leftByMakers);
const Case kSeveral(Supported{"waitingOfSeveral", "descriptors",
                              "an AF_UNIX connection that waits to be accepted and belongs to several processes", "refused: is not known"},
                    waitingOfSeveral);
const Case kEarly(Supported{"dataBeforeAccept", "descriptors", "data in a connection that waits to be accepted", "refused: has data in it"},
                  dataBeforeAccept);
const Case kRenamed(Supported{"renamedFile", "descriptors", "AF_UNIX sockets whose file was renamed", "refused: was renamed to"},
                    renamedFile);
const Case kLost(Supported{"lostNames", "descriptors", "AF_UNIX datagram sockets whose file and directory are gone, with their queues",
                           "restored"},
                 lostNames);
const Case kTaken(Supported{"takenNames", "descriptors", "AF_UNIX sockets whose name a file or FIFO has taken, with waiting clients",
                            "restored"},
                  takenNames);
const Case kLeft(Supported{"leftDirectory", "descriptors", "AF_UNIX sockets bound by relative names, after a change of directory",
                           "restored"},
                 leftDirectory);
const Case kChains(Supported{"chains", "descriptors", "AF_UNIX datagram sockets connected in chains, by hand, with themselves", "restored"},
                   chains);
const Case kDead(Supported{"deadPeers", "descriptors", "AF_UNIX datagram sockets whose peer is gone", "restored"}, deadPeers);
const Case kPassed(Supported{"passedEpoll", "descriptors", "epoll instances under way in a socket", "restored"}, passedEpoll);

}  // namespace
}  // namespace holds
