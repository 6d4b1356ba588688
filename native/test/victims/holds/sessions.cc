// Sessions and groups whose history does not show in the tree any more: members that do what they are told, one after the other, and say in
// the end whether they are still who they were.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <atomic>
#include <fstream>
#include <random>

#include "holds.h"

namespace holds {
namespace {

enum Order : int { kNothing, kFork, kForkBeside, kLead, kGroup, kSubreaper, kNoSubreaper, kEnd, kTell };

/** Where a member stands. */
struct Place {
  pid_t parent, session, group;
  bool operator==(const Place& other) const { return parent == other.parent && session == other.session && group == other.group; }
};

/** One member, in memory that all share. */
struct Member {
  std::atomic<int> order, other;
  std::atomic<pid_t> pid;
  std::atomic<bool> failed;
  Place place;
};

constexpr int kMost = 40;
Member* members = nullptr;

void obey(int self, int order, int other);

[[noreturn]] void live(int self) {
  members[self].pid = pid_t(syscall(SYS_getpid));
  while (true) {
    until([&] { return members[self].order != kNothing; });
    obey(self, members[self].order, members[self].other);
    members[self].order = kNothing;
  }
}

void obey(int self, int order, int other) {
  bool done = true;
  if (order == kFork || order == kForkBeside) {
    const long made = syscall(SYS_clone, (order == kFork ? 0ul : CLONE_PARENT) | SIGCHLD, 0, 0, 0, 0);
    if (made == 0) live(other);
    done = made > 0;
  }
  if (order == kLead) done = setsid() > 0;
  if (order == kGroup) done = setpgid(0, members[other].pid) == 0;
  if (order == kSubreaper || order == kNoSubreaper) done = prctl(PR_SET_CHILD_SUBREAPER, order == kSubreaper ? 1 : 0) == 0;
  if (order == kEnd) _exit(0);
  if (order == kTell) members[self].place = {getppid(), getsid(0), getpgid(0)};
  members[self].failed = !done;
}

/** Has `who` do something, and waits until it is done; false when the kernel does not allow it. Member 0 is the caller. */
bool tell(int who, int order, int other = 0) {
  if (who == 0) {
    obey(0, order, other);
  } else {
    members[who].other = other;
    members[who].order = order;
    until([&] { return members[who].order == kNothing || (order == kEnd && hasEnded(members[who].pid)); });
  }
  if (order == kEnd) members[who].pid = members[who].order = 0;
  if ((order == kFork || order == kForkBeside) && !members[who].failed) until([&] { return members[other].pid != 0; });
  return !members[who].failed;
}

void gather() {
  void* memory = mmap(nullptr, kMost * sizeof(Member), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  members = static_cast<Member*>(memory);
  members[0].pid = getpid();
  REQUIRE(tell(0, kSubreaper));
}

/** Holds, compares, and ends all. */
void verify() {
  Place before[kMost];
  for (int one = 0; one < kMost; ++one) {
    if (members[one].pid == 0) continue;
    REQUIRE(tell(one, kTell));
    before[one] = members[one].place;
  }
  hold();
  for (int one = 0; one < kMost; ++one) {
    if (members[one].pid == 0) continue;
    REQUIRE(tell(one, kTell));
    const Place &was = before[one], &is = members[one].place;
    if (!(one == 0 ? was.session == is.session && was.group == is.group : was == is))
      printf("%d: parent %d, was %d; session %d, was %d; group %d, was %d\n", one, is.parent, was.parent, is.session, was.session, is.group,
             was.group);
    REQUIRE(one == 0 || was == is);
  }
  for (int one = kMost; one-- > 1;)
    if (members[one].pid != 0) tell(one, kEnd);
}

void bornBeforeTheSession() {
  gather();
  REQUIRE(tell(0, kFork, 1) && tell(1, kFork, 2) && tell(2, kFork, 3));
  REQUIRE(tell(1, kLead) && tell(2, kLead));
  verify();
}

/** The leader of a member's session was left to one further up when the nearer one was no subreaper any more. */
void leaderMovedAway() {
  gather();
  REQUIRE(tell(0, kFork, 1) && tell(1, kSubreaper) && tell(1, kFork, 2) && tell(2, kFork, 3) && tell(3, kLead));
  REQUIRE(tell(3, kFork, 4) && tell(4, kFork, 5) && tell(4, kEnd));  // 5 is left to 1
  REQUIRE(tell(1, kNoSubreaper) && tell(2, kEnd));                   // 3, the leader, to 0
  REQUIRE(tell(3, kForkBeside, 6));
  verify();
}

void groupsExchanged() {
  gather();
  for (const int one : {1, 2, 3, 4}) REQUIRE(tell(0, kFork, one));
  REQUIRE(tell(1, kGroup, 1) && tell(2, kGroup, 2) && tell(3, kGroup, 1) && tell(4, kGroup, 2));
  REQUIRE(tell(1, kGroup, 2) && tell(2, kGroup, 1) && tell(3, kEnd) && tell(4, kEnd));
  verify();
}

/** Anything that could have happened; zombies stay where their parents do not ask. */
void anyHistory() {
  gather();
  std::mt19937 random(20);
  const auto below = [&](int limit) { return int(random() % unsigned(limit)); };
  for (int round = 0; round < 250; ++round) {
    int who = below(kMost), other = below(kMost);
    while (members[who].pid == 0) who = (who + 1) % kMost;
    const int what = below(12);
    if (what < 5) {
      if (members[other].pid == 0) tell(who, what == 0 && who != 0 ? kForkBeside : kFork, other);
    } else if (who != 0) {
      constexpr int kOrders[] = {kLead, kGroup, kGroup, kSubreaper, kNoSubreaper, kEnd, kEnd};
      const int order = kOrders[what - 5];
      if (order != kGroup || members[other].pid != 0) tell(who, order, order == kGroup && below(2) == 0 ? who : other);
    }
  }
  verify();
}

/** What programs ask that want to know whether their parent has ended. */
void parentNumbers() {
  const pid_t keeper = getppid();
  Pipe up, go, told;
  const pid_t middle = spawn([&] {
    spawn([&] {
      const pid_t middleOne = getppid();
      REQUIRE(put(up.write, "x") == 0);
      until([&] { return getppid() != middleOne; });
      const pid_t heir = getppid();
      REQUIRE(put(up.write, "x") == 0 && take(go.read, 1) == "x" && getppid() == heir);
      REQUIRE(put(told.write, std::to_string(heir)) == 0);
    });
    REQUIRE(take(up.read, 1) == "x");
  });
  REQUIRE(endsWell(middle) && take(up.read, 1) == "x");
  hold();
  REQUIRE(getppid() == keeper && put(go.write, "x") == 0 && take(told.read) == std::to_string(keeper));
}

const Case kParents(Supported{"parentNumbers", "tasks", "the number of the parent, of the first process and of orphans (getppid)",
                              "restored"},
                    parentNumbers);
const Case kBorn(Supported{"bornBeforeTheSession", "tasks", "children from before their parent and grandparent began sessions", "restored"},
                 bornBeforeTheSession);
const Case kMoved(Supported{"leaderMovedAway", "tasks", "orphans left to a process in another session, their session's leader elsewhere",
                            "restored"},
                  leaderMovedAway);
const Case kExchanged(Supported{"groupsExchanged", "tasks", "groups that were begun by somebody who is in another one now", "restored"},
                      groupsExchanged);
const Case kAny(Supported{"anyHistory", "tasks", "process trees after any history of forks, sessions, groups, subreapers and ends",
                          "restored"},
                anyHistory);

}  // namespace
}  // namespace holds
