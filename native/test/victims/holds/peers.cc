// Sockets of processes that root has made other users': who the other end is, and who has sent what waits.
#include <grp.h>

#include "sockets.h"

namespace holds {
namespace {

constexpr uid_t kUser = 4711, kOther = 4714;

/** For a while: effective user, group and groups, as servers take them on. */
template <typename Act>
void asUser(uid_t user, const Act& act) {
  const gid_t groups[] = {user + 1, user + 2};
  REQUIRE(setgroups(2, groups) == 0 && setresgid(gid_t(-1), user, gid_t(-1)) == 0 && setresuid(uid_t(-1), user, uid_t(-1)) == 0);
  act();
  REQUIRE(setresuid(uid_t(-1), 0, uid_t(-1)) == 0 && setresgid(gid_t(-1), 0, gid_t(-1)) == 0 && setgroups(0, nullptr) == 0);
}

bool isOf(int fd, uid_t user) {
  struct stat info{};
  return fstat(fd, &info) == 0 && info.st_uid == user && info.st_gid == user;
}

void becomeUser(uid_t user) {
  const gid_t group = user + 3;
  REQUIRE(setgroups(1, &group) == 0 && setresgid(user, user, user) == 0 && setresuid(user, user, user) == 0);
}

std::string words(std::initializer_list<uint64_t> numbers) {
  std::string text;
  for (const uint64_t number : numbers) text.append(1, ' ').append(std::to_string(number));
  return text;
}

std::string idsOf(uid_t user) { return words({user, user}); }
std::string groupsOf(uid_t user) { return words({user + 1, user + 2}); }

/** The text of the next message, and whose it is. */
std::string hearsWhose(int fd) {
  char text[64];
  iovec part{text, sizeof text};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
  msghdr header{};
  header.msg_iov = &part, header.msg_iovlen = 1, header.msg_control = control, header.msg_controllen = sizeof control;
  const ssize_t count = recvmsg(fd, &header, MSG_DONTWAIT);
  REQUIRE(count >= 0 && CMSG_FIRSTHDR(&header) != nullptr && CMSG_FIRSTHDR(&header)->cmsg_type == SCM_CREDENTIALS);
  ucred who{};
  memcpy(&who, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof who);
  return std::string(text, size_t(count)) + words({uint64_t(who.pid), who.uid, who.gid});
}

/** A server that begins as root and goes on as somebody else; clients of several users, one of them accepted after a restart only. */
void peersOfUsers() {
  if (geteuid() != 0) notHere();
  int pair[2], packets[2];
  Pipe go, up;
  REQUIRE(setgroups(0, nullptr) == 0 && chmod(".", 0711) == 0);
  asUser(kUser, [&] { REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0); });
  asUser(kOther, [&] { REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, packets) == 0); });
  const int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(binds(server, pathName("server")) && chmod("server", 0777) == 0);
  asUser(kOther, [&] { REQUIRE(listen(server, 3) == 0); });
  asUser(kUser, [&] { REQUIRE(reaches(client, pathName("server"))); });
  const int accepted = accept(server, nullptr, nullptr);
  const pid_t waiting = spawn([&] {
    becomeUser(kUser);
    const int own = socket(AF_UNIX, SOCK_STREAM, 0), unused = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(reaches(own, pathName("server")) && put(up.write, "x") == 0 && take(go.read, 1) == "x");
    REQUIRE(peerOf(own).ends_with(idsOf(kOther) + groupsOf(kOther)) && take(own, 1) == "y");
    REQUIRE(isOf(own, kUser) && isOf(unused, kUser));
  });
  REQUIRE(take(up.read, 1) == "x" && chmod("server", 0700) == 0);
  const int all[] = {pair[0], pair[1], packets[0], server, client, accepted};
  std::vector<std::string> before;
  for (const int fd : all) before.push_back(peerOf(fd));
  const std::string self = std::to_string(getpid());
  REQUIRE(before[0] == self + idsOf(kUser) + groupsOf(kUser) && before[2] == self + idsOf(kOther) + groupsOf(kOther));
  REQUIRE(before[4] == self + idsOf(kOther) + groupsOf(kOther) && before[5] == self + idsOf(kUser) + groupsOf(kUser));
  hold();
  for (size_t at = 0; at < before.size(); ++at) REQUIRE(peerOf(all[at]) == before[at]);
  const int late = accept(server, nullptr, nullptr);
  REQUIRE(late >= 0 && peerOf(late) == std::to_string(waiting) + idsOf(kUser) + words({kUser + 3}));
  REQUIRE(isOf(pair[0], kUser) && isOf(client, 0) && isOf(server, 0) && geteuid() == 0 && getgroups(0, nullptr) == 0 &&
          says(pair[0], "x") && hears(pair[1]) == "x");
  REQUIRE(put(late, "y") == 0 && put(go.write, "x") == 0 && endsWell(waiting));
}

/** The real ids of whoever has sent it, or what root says. */
void messagesOfUsers() {
  if (geteuid() != 0) notHere();
  int pair[2];
  Pipe go, up;
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0 && turn(pair[1], SOL_SOCKET, SO_PASSCRED, 1) && says(pair[0], "root"));
  const pid_t gone = spawn([&] {
    becomeUser(kOther);
    REQUIRE(says(pair[0], "gone"));
  });
  REQUIRE(endsWell(gone));
  const pid_t user = spawn([&] {
    becomeUser(kUser);
    REQUIRE(says(pair[0], "user") && put(up.write, "x") == 0 && take(go.read, 1) == "x");
  });
  REQUIRE(take(up.read, 1) == "x");
  hold();
  REQUIRE(hearsWhose(pair[1]) == "root " + std::to_string(getpid()) + " 0 0");
  REQUIRE(hearsWhose(pair[1]) == "gone " + std::to_string(gone) + idsOf(kOther));
  REQUIRE(hearsWhose(pair[1]) == "user " + std::to_string(user) + idsOf(kUser) && put(go.write, "x") == 0 && endsWell(user));
}

const Case kPeersOf(Supported{"peersOfUsers", "descriptors",
                              "AF_UNIX sockets of root's processes of several users: the other end, also of who connected or listened as "
                              "another one than now",
                              "restored"},
                    peersOfUsers);
const Case kMessages(Supported{"messagesOfUsers", "descriptors", "messages of several users that wait in AF_UNIX sockets (SCM_CREDENTIALS)",
                               "restored"},
                     messagesOfUsers);

}  // namespace
}  // namespace holds
