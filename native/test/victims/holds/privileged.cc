// What only root can set up.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>

#include <thread>

#include "holds.h"

namespace holds {
namespace {

/** With all other ids the same. */
void idOfFiles() {
  if (geteuid() != 0) notHere();
  Pipe go, up;
  const pid_t server = spawn([&] {
    REQUIRE(setfsgid(24) == 0 && setfsuid(14) == 0);
    put(up.write, "x");
    take(go.read, 1);
    REQUIRE(setfsuid(~0u) == 14 && setfsgid(~0u) == 24 && geteuid() == 0 && getegid() == 0);
  });
  REQUIRE(take(up.read, 1) == "x");
  hold();
  REQUIRE(put(go.write, "x") == 0 && endsWell(server));
}

/** Nothing may be written there by questions that are to have no answer. */
void firstPage() {
  constexpr size_t kSize = 8192;
  void* const page = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (page == MAP_FAILED) notHere();
  Pipe copy;  // through system calls: the compiler knows that nothing is at 0
  const auto content = [&] {
    REQUIRE(syscall(SYS_write, copy.write, nullptr, kSize) == kSize);
    return take(copy.read, kSize);
  };
  std::string text(kSize, 'x');
  REQUIRE(put(copy.write, text) == 0 && syscall(SYS_read, copy.read, nullptr, kSize) == kSize && content() == text);
  hold();
  REQUIRE(content() == text);
}

void childrenElsewhere() {
  if (unshare(CLONE_NEWPID) != 0) notHere();
  hold();
  REQUIRE(endsWell(spawn([] { REQUIRE(getpid() == 1); })));
}

void threadElsewhere() {
  Pipe up, go;
  std::thread thread([&] {
    put(up.write, unshare(CLONE_NEWNET) == 0 ? "y" : "n");
    take(go.read, 1);
  });
  const bool isElsewhere = take(up.read, 1) == "y";
  if (!isElsewhere) notHere();
  hold();
  put(go.write, "x");
  thread.join();
}

void byDeadline() {
  struct {
    uint32_t size = 48, policy = 6;  // SCHED_DEADLINE
    uint64_t flags = 0;
    int32_t nice = 0;
    uint32_t priority = 0;
    uint64_t runtime = 1000000, deadline = 10000000, period = 10000000;
  } attributes;
  if (syscall(SYS_sched_setattr, 0, &attributes, 0) != 0) notHere();
  hold();
  REQUIRE(sched_getscheduler(0) == 6);
}

void lockedModes() {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  REQUIRE(master >= 0 && unlockpt(master) == 0);
  const int end = open(ptsname(master), O_RDWR | O_NOCTTY);
  termios locked{};
  locked.c_lflag = ECHO;
  if (ioctl(end, TIOCSLCKTRMIOS, &locked) != 0) notHere();
  hold();
  REQUIRE(put(end, "out\n") == 0 && take(master) == "out\r\n");
}

void underRepair() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) != 0) notHere();
  hold();
}

const Case kLocked(Supported{"lockedModes", "descriptors", "pseudo-terminals: one whose modes are locked (TIOCSLCKTRMIOS)",
                             "refused: a terminal with locked modes"},
                   lockedModes);
const Case kRepair(Supported{"underRepair", "descriptors", "TCP connections under repair (TCP_REPAIR)", "refused: is under repair"},
                   underRepair);
const Case kIdOfFiles(Supported{"idOfFiles", "tasks", "a user and group for files (setfsuid) where all other ids are the same", "restored"},
                      idOfFiles);
const Case kFirstPage(Supported{"firstPage", "memory", "memory at address 0", "restored"}, firstPage);
const Case kChildren(Supported{"childrenElsewhere", "hosts", "processes whose children will be in another namespace (CLONE_NEWPID)",
                               "refused: makes its children in another pid namespace"},
                     childrenElsewhere);
const Case kThread(Supported{"threadElsewhere", "hosts", "threads in a namespace of their own", "refused: namespace than its process"},
                   threadElsewhere);
const Case kDeadline(Supported{"byDeadline", "tasks", "threads that are scheduled by deadlines (SCHED_DEADLINE)",
                               "refused: SCHED_DEADLINE"},
                     byDeadline);

}  // namespace
}  // namespace holds
