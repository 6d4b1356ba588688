// What a program has forbidden itself, or one of its threads: a checkpoint must not even try.
#include <grp.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>

#include "holds.h"

namespace holds {
namespace {

/** Nothing but the call that waits for `go` is allowed afterwards; anything else ends the process. */
void forbidEverything() {
  sock_filter rules[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)), BPF_JUMP(BPF_JMP | BPF_JEQ, SYS_read, 2, 0),
                         BPF_JUMP(BPF_JMP | BPF_JEQ, SYS_exit, 1, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  sock_fprog program{5, rules};
  REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

void forbidMost() { REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0); }

std::string seccompOf(pid_t tid) {
  std::ifstream status("/proc/" + std::to_string(tid) + "/status");
  std::string found;
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("Seccomp")) found += line;
  return found;
}

/** Whoever is sandboxed cannot tell: more so than this process is. */
bool isSandboxed(pid_t tid) { return seccompOf(tid) != seccompOf(getpid()); }

/** In a process of its own, or in a thread, which is then in this call when the checkpoint comes. */
struct Sandbox {
  Pipe go, up;
  void (*forbid)() = nullptr;
  pid_t tid = 0;
  volatile bool left = false;

  void stay() {
    tid = gettid();
    put(up.write, "x");
    forbid();
    char byte = 0;
    left = syscall(SYS_read, go.read, &byte, 1) == 1;
    syscall(SYS_exit, 0);
  }
  void inThread() {
    pthread_t thread;
    const auto body = [](void* self) -> void* {
      static_cast<Sandbox*>(self)->stay();
      return nullptr;
    };
    REQUIRE(pthread_create(&thread, nullptr, body, this) == 0 && take(up.read, 1) == "x");
    until([this] { return isSandboxed(tid); });
    hold();
    REQUIRE(put(go.write, "x") == 0);
    until([this] { return left; });
  }
  void inProcess() {
    const pid_t child = spawn([this] { stay(); });
    REQUIRE(take(up.read, 1) == "x");
    until([child] { return isSandboxed(child); });
    hold();
    REQUIRE(put(go.write, "x") == 0 && endsWell(child));
  }
};

void strictProcess() {
  Sandbox box;
  box.forbid = forbidMost;
  box.inProcess();
}

void filteredProcess() {
  Sandbox box;
  box.forbid = forbidEverything;
  box.inProcess();
}

void filteredThread() {
  static Sandbox box;
  box.forbid = forbidEverything;
  box.inThread();
}

void beginResting(int threads) {
  const auto body = [](void*) -> void* {
    while (true) pause();
  };
  for (pthread_t thread; threads > 0; --threads) REQUIRE(pthread_create(&thread, nullptr, body, nullptr) == 0);
}

void filteredThreadOfMany() {
  beginResting(40);
  filteredThread();
}

/** The C library would change those of all. */
void credentialsOfThread() {
  if (geteuid() != 0) notHere();
  static Pipe go, up;
  pthread_t thread;
  const auto body = [](void*) -> void* {
    REQUIRE(syscall(SYS_setresgid, -1, 4711, -1) == 0 && put(up.write, "x") == 0);
    take(go.read, 1);
    return nullptr;
  };
  beginResting(20);
  REQUIRE(pthread_create(&thread, nullptr, body, nullptr) == 0 && take(up.read, 1) == "x");
  beginResting(20);
  hold();
  REQUIRE(put(go.write, "x") == 0 && pthread_join(thread, nullptr) == 0);
}

void threadKeys() {
  static Pipe go, up;
  static bool has = false;
  pthread_t thread;
  const auto body = [](void*) -> void* {
    has = syscall(SYS_add_key, "user", "holds", "secret", 6, KEY_SPEC_THREAD_KEYRING) > 0;
    put(up.write, "x");
    take(go.read, 1);
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, nullptr, body, nullptr) == 0 && take(up.read, 1) == "x");
  if (!has) notHere();
  hold();
  REQUIRE(put(go.write, "x") == 0 && pthread_join(thread, nullptr) == 0);
}

/** Others than those of the login that restarts it: only root can choose. */
void chosenGroups() {
  const std::vector<gid_t> chosen{4711, 4712};
  if (setgroups(chosen.size(), chosen.data()) != 0) notHere();
  hold();
  std::vector<gid_t> left(16);
  const int count = getgroups(int(left.size()), left.data());
  left.resize(size_t(count < 0 ? 0 : count));
  REQUIRE(left == chosen);
}

/** A server that root starts, and that has its work done by another user. */
void anotherUser() {
  constexpr uid_t kServant = 4711;
  if (geteuid() != 0) notHere();
  Pipe go, up;
  const pid_t servant = spawn([&] {
    REQUIRE(setgroups(0, nullptr) == 0 && setresgid(kServant, kServant, kServant) == 0 && setresuid(kServant, kServant, kServant) == 0);
    put(up.write, "x");
    take(go.read, 1);
    REQUIRE(getuid() == kServant && getegid() == kServant && getgroups(0, nullptr) == 0 && setuid(0) != 0);
  });
  REQUIRE(take(up.read, 1) == "x");
  hold();
  REQUIRE(put(go.write, "x") == 0 && endsWell(servant));
}

/** Real, effective, saved, and for files: all of them others. */
void separateIds() {
  if (geteuid() != 0) notHere();
  Pipe go, up;
  const pid_t server = spawn([&] {
    REQUIRE(setresgid(21, 22, 23) == 0 && setfsgid(24) == 22 && setresuid(11, 12, 0) == 0);
    REQUIRE(seteuid(0) == 0 && setfsuid(14) == 0 && setfsuid(~0u) == 14);
    put(up.write, "x");
    take(go.read, 1);
    uid_t uid[3];
    gid_t gid[3];
    REQUIRE(getresuid(&uid[0], &uid[1], &uid[2]) == 0 && uid[0] == 11 && uid[1] == 0 && uid[2] == 0 && setfsuid(~0u) == 14);
    REQUIRE(getresgid(&gid[0], &gid[1], &gid[2]) == 0 && gid[0] == 21 && gid[1] == 22 && gid[2] == 23 && setfsgid(~0u) == 24);
  });
  REQUIRE(take(up.read, 1) == "x");
  hold();
  REQUIRE(put(go.write, "x") == 0 && endsWell(server));
}

constexpr uid_t kHeir = 4711;
constexpr gid_t kHeirs = 4712;

bool isHeirs(int fd, mode_t mode) {
  struct stat info{};
  return fstat(fd, &info) == 0 && info.st_uid == kHeir && info.st_gid == kHeirs && (info.st_mode & 07777) == mode;
}

/** As sshd and login do with a terminal. */
void terminalGivenAway() {
  if (geteuid() != 0) notHere();
  const int master = posix_openpt(O_RDWR | O_NOCTTY), other = posix_openpt(O_RDWR | O_NOCTTY);
  REQUIRE(master >= 0 && unlockpt(master) == 0 && unlockpt(other) == 0);
  const int slave = open(ptsname(master), O_RDWR | O_NOCTTY), own = open(ptsname(other), O_RDWR | O_NOCTTY);
  struct stat before{}, after{};
  REQUIRE(fchown(slave, kHeir, kHeirs) == 0 && fchmod(slave, 0622) == 0 && fstat(own, &before) == 0);
  hold();
  REQUIRE(isHeirs(slave, 0622) && fstat(own, &after) == 0 && after.st_uid == before.st_uid && after.st_gid == before.st_gid);
  REQUIRE(put(master, "still a terminal\n") == 0 && take(slave) == "still a terminal\n");
}

/** What has no name, or is made again under its name: another user may go on using it. */
void filesGivenAway() {
  if (geteuid() != 0) notHere();
  const std::string shared = uniqueName("/dev/shm/");
  const int file = open("gone", O_RDWR | O_CREAT | O_CLOEXEC, 0600), memory = memfd_create("heirs", MFD_CLOEXEC);
  const int named = open(shared.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600), reader = open("gone", O_RDONLY);
  REQUIRE(put(file, "content") == 0 && unlink("gone") == 0 && put(named, "shared") == 0);
  for (const int fd : {file, memory, named}) REQUIRE(fchown(fd, kHeir, kHeirs) == 0 && fchmod(fd, 04640) == 0);
  meanwhile(("rm -f " + shared).c_str());
  Pipe go, up;
  const pid_t heir = spawn([&] {
    REQUIRE(setgroups(0, nullptr) == 0 && setresgid(kHeir, kHeir, kHeir) == 0 && setresuid(kHeir, kHeir, kHeir) == 0);
    REQUIRE(put(up.write, "x") == 0 && take(go.read, 1) == "x");
    REQUIRE(open(shared.c_str(), O_RDWR) >= 0);
  });
  REQUIRE(take(up.read, 1) == "x");
  hold();
  for (const int fd : {file, memory, named, reader}) REQUIRE(isHeirs(fd, 04640));
  REQUIRE(take(reader) == "content" && put(go.write, "x") == 0 && endsWell(heir) && unlink(shared.c_str()) == 0);
}

const Case kTerminal(Supported{"terminalGivenAway", "descriptors", "owner and permissions of a pseudo-terminal that root has given away",
                               "restored"},
                     terminalGivenAway);
const Case kGiven(Supported{"filesGivenAway", "descriptors",
                            "owners of unlinked files, memfds and POSIX shared memory that root has given away", "restored"},
                  filesGivenAway);
const Case kStrict(Supported{"strictProcess", "tasks", "processes that may only read and write (SECCOMP_MODE_STRICT)",
                             "refused: seccomp filter"},
                   strictProcess);
const Case kFiltered(Supported{"filteredProcess", "tasks", "a child whose seccomp filter kills it for what it does not expect",
                               "refused: seccomp filter"},
                     filteredProcess);
const Case kThread(Supported{"filteredThread", "tasks", "threads with a seccomp filter of their own", "refused: seccomp filter"},
                   filteredThread);
const Case kOfMany(Supported{"filteredThreadOfMany", "tasks", "one thread of many with a seccomp filter of its own",
                             "refused: seccomp filter"},
                   filteredThreadOfMany);
const Case kOfThread(Supported{"credentialsOfThread", "tasks", "threads with other credentials than their process",
                               "refused: other credentials than its process"},
                     credentialsOfThread);
const Case kKeys(Supported{"threadKeyring", "tasks", "keys in the keyring of a thread", "refused: keyring of its own"}, threadKeys);
const Case kServant(Supported{"anotherUser", "tasks", "a process that root has made another user's", "restored"}, anotherUser);
const Case kIds(Supported{"separateIds", "tasks", "real, effective, saved and file system ids that differ, of a process of root's",
                          "restored"},
                separateIds);
const Case kGroups(Supported{"chosenGroups", "tasks", "supplementary groups that a program of root's has chosen", "restored"},
                   chosenGroups);

}  // namespace
}  // namespace holds
