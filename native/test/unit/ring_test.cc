// io_urings: what the kernel tells of them, and rings that are made again.
#include "base/ring.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>

#include "base/codes.h"
#include "check.h"
#include "host.h"
#include "proc/ring_info.h"
#include "restore/files/rings.h"

using namespace blcr;

namespace {

const char* const kBusy =
    "pos:\t0\nflags:\t02000002\nmnt_id:\t17\nino:\t5\nSqMask:\t0x7\nSqHead:\t10\nSqTail:\t12\nCachedSqHead:\t11\nCqMask:\t0xf\nCqHead:\t3\n"
    "CqTail:\t5\nCachedCqTail:\t6\nSQEs:\t2\n    0: opcode:NOP, fd:0, flags:0, off:0, user_data:0, e0:0x0, e1:0x0\n"
    "    1: opcode:NOP, fd:0, flags:0, off:0, user_data:0, e0:0x0, e1:0x0\n"
    "CQEs:\t1\n    3: user_data:0, res:0, flag:0, extra1:0, extra2:0\n\nSqThread:\t77\nSqThreadCpu:\t-1\nUserFiles:\t2\n    0: a\n    1: "
    "b\n"
    "UserBufs:\t1\n    0: 0x1000/4096\nPersonalities:\n    1\n\tUid:\t0\nPollList:\n  op=6, task_works=0\nCqOverflowList:\n"
    "  user_data=1, res=0, flags=0\nNAPI:\tenabled\n";

/** A ring of this kernel with nothing in it; no value where io_uring is forbidden. */
std::optional<image::Ring> freshRing(uint32_t flags) {
  image::Ring ring;
  ring.entries = 8, ring.completions = 16, ring.flags = flags;
  const RingShape shape{ring.entries, ring.completions, flags};
  auto made = makeRing(shape);
  if (!made) {
    std::printf("  not tested here: %s\n", made.error().detail.c_str());
    return std::nullopt;
  }
  std::copy(made->places.begin(), made->places.end(), ring.layout);
  const auto memory = RingMemory::map(made->fd.get(), shape, made->places);
  CHECK(memory.ok());
  ring.queues.assign(memory.value().queues().begin(), memory.value().queues().end());
  return ring;
}

void put(image::Ring& ring, RingPlace place, uint32_t value) { std::memcpy(ring.queues.data() + ring.layout[place], &value, sizeof value); }

/** `count` requests, of which the program has not seen the completions of the last `unread`. */
void work(image::Ring& ring, uint32_t count, uint32_t unread) {
  ring.count = count;
  for (const RingPlace place : {kCallHead, kCallTail, kResultTail}) put(ring, place, count);
  put(ring, kResultHead, count - unread);
}

void countsRight(uint32_t count, uint32_t unread) {
  auto ring = freshRing(0);
  if (!ring) return;
  work(*ring, count, unread);
  const auto made = restoreRing(*ring);
  CHECK(made.ok());
  if (!made.ok()) return;
  const auto info = readRingInfo(made.value().get());
  CHECK(info.ok() && info.value().told && info.value().hasCounters);
  CHECK(info.value().callsTaken == count && info.value().resultsWritten == count);
  CHECK(info.value().callHead == count && info.value().resultHead == count - unread && info.value().resultTail == count);
  CHECK(info.value().overflown == 0 && info.value().armed == 0);
}

void refuses(const image::Ring& ring, int code, const char* words) {
  const auto made = restoreRing(ring);
  CHECK(!made.ok());
  CHECK(made.error().code == code && made.error().detail.find(words) != std::string::npos);
  if (made.error().detail.find(words) == std::string::npos) std::printf("  %s\n", made.error().detail.c_str());
}

}  // namespace

TEST(everythingThatIsToldIsTaken) {
  const auto info = parseRingInfo(kBusy);
  CHECK(info.ok());
  if (!info.ok()) return;
  const RingInfo& told = info.value();
  CHECK(told.told && told.hasCounters && told.callMask == 7 && told.resultMask == 15);
  CHECK(told.callHead == 10 && told.callTail == 12 && told.callsTaken == 11);
  CHECK(told.resultHead == 3 && told.resultTail == 5 && told.resultsWritten == 6);
  CHECK(told.callsListed == 2 && told.wideCalls && told.resultsListed == 1 && told.wideResults);
  CHECK(told.thread == 77 && told.files == 2 && told.buffers == 1 && told.personalities && told.busyPolling);
  CHECK(told.armed == 1 && told.overflown == 1);
  CHECK(!parseRingInfo("SqMask:\t0x7\n").ok() && !parseRingInfo("pos:\t0\nSqMask:\tseven\n").ok());
  CHECK(!parseRingInfo("pos:\t0\n").value().told);
}

TEST(countersAreRightWithWhatIsUnread) {
  for (const uint32_t count : {0u, 1u, 5u, 8u, 16u, 17u, 1000u}) countsRight(count, 0);
  for (const uint32_t unread : {1u, 7u, 16u}) {
    countsRight(unread, unread);
    countsRight(1000 + unread, unread);
  }
}

/** A ring is full when its unread completions are: the next one must not be written over the oldest. */
TEST(roomIsWhatItWas) {
  auto ring = freshRing(0);
  if (!ring) return;
  work(*ring, 21, 16);
  const auto made = restoreRing(*ring);
  CHECK(made.ok());
  if (!made.ok()) return;
  const RingShape shape{ring->entries, ring->completions, 0};
  RingPlaces places{};
  std::copy(std::begin(ring->layout), std::end(ring->layout), places.begin());
  const auto memory = RingMemory::map(made.value().get(), shape, places);
  memory.value().word(places[kCallTail]) += 1;
  CHECK(enterRing(made.value().get(), 1, 0) == 1);
  const auto info = readRingInfo(made.value().get());
  CHECK(info.value().callsTaken == 22 && info.value().resultsWritten == 21 && info.value().overflown == 1);
}

TEST(anotherLayoutIsRefused) {
  auto ring = freshRing(0);
  if (!ring) return;
  ring->layout[kResults] += 64;
  refuses(*ring, kErrorNoSupport, "lays its memory out otherwise");
}

TEST(impossibleRingsAreRefused) {
  auto ring = freshRing(0);
  if (!ring) return;
  work(*ring, 5, 0);
  put(*ring, kResultHead, 6);
  refuses(*ring, EINVAL, "impossible counters");
  ring->queues.resize(4);
  refuses(*ring, EINVAL, "impossible ring");
  ring->queues.resize(1 << 20);
  refuses(*ring, EINVAL, "impossible ring");
}

TEST(whereItIsForbiddenThatIsSaid) {
  const auto ring = freshRing(0);
  if (!ring) return;
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    host::enterDocker();
    refuses(*ring, kErrorNoSupport, "kernel.io_uring_disabled, a seccomp filter");
    std::fflush(stdout);
    _exit(check::failures() == 0 ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

CHECK_MAIN
