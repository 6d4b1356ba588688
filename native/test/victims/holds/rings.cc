// io_urings that have worked and are idle: they go on where they were.
#include "rings.h"

#include <sys/epoll.h>

#include <atomic>
#include <thread>

namespace holds {
namespace {

/** Before: more requests than it has room for, three completions unread, two requests written only. */
void prepare(Ring& ring) {
  const uint32_t entries = ring.parameters().sq_entries;
  for (uint32_t done = 0; done < 5 * entries + 3; ++done) ring.nothing(done);
  for (uint64_t data = 1; data <= 3; ++data) ring.add(IORING_OP_NOP, 1000 + data);
  REQUIRE(ring.enter(3, 0) == 3 && ring.unread() == 3);
  ring.add(IORING_OP_NOP, 2001);
  ring.add(IORING_OP_NOP, 2002);
}

/** After: nothing is lost or doubled, and it reads a pipe. */
void verify(Ring& ring) {
  REQUIRE(ring.unread() == 3);
  REQUIRE(ring.enter(2, 0) == 2 && ring.unread() == 5);
  for (const uint64_t data : {1001, 1002, 1003, 2001, 2002}) REQUIRE(ring.take().user_data == data);
  Pipe pipe;
  char text[8] = {};
  io_uring_sqe& call = ring.add(IORING_OP_READ, 3000);
  call.fd = pipe.read;
  call.addr = reinterpret_cast<uint64_t>(text);
  call.len = sizeof text;
  call.off = ~0ull;
  REQUIRE(ring.enter(1, 0) == 1 && ring.unread() == 0 && put(pipe.write, "pipe") == 0);
  REQUIRE(ring.enter(0, 1) == 0);
  const io_uring_cqe result = ring.take();
  REQUIRE(result.user_data == 3000 && result.res == 4 && memcmp(text, "pipe", 4) == 0);
  // Ordered behind the others: counts of all that ever was must agree for that.
  ring.add(IORING_OP_NOP, 3001).flags = IOSQE_IO_DRAIN;
  ring.enterAndWait();
  REQUIRE(ring.take().user_data == 3001);
  for (uint32_t done = 0; done < 5 * ring.parameters().cq_entries; ++done) ring.nothing(done);
}

void plain() {
  Ring ring(8);
  prepare(ring);
  hold();
  verify(ring);
}

void fresh() {
  Ring ring(8);
  hold();
  prepare(ring);
  verify(ring);
}

/** All that it can hold is unread. */
void full() {
  Ring ring(4);
  for (uint64_t data = 0; data < 8; ++data) {
    ring.add(IORING_OP_NOP, data);
    REQUIRE(ring.enter(1, 0) == 1);
  }
  hold();
  REQUIRE(ring.unread() == 8);
  for (uint64_t data = 0; data < 8; ++data) REQUIRE(ring.take().user_data == data);
  prepare(ring);
  verify(ring);
}

/** As Node makes them where the kernel can. */
void withoutArray() {
  Ring ring(256, kNoArray);
  prepare(ring);
  hold();
  verify(ring);
}

void wide() {
  Ring ring(16, IORING_SETUP_SQE128 | IORING_SETUP_CQE32, 128), calls(64, kNoArray | IORING_SETUP_SQE128), results(4, IORING_SETUP_CQE32);
  Ring* const all[] = {&ring, &calls, &results};
  for (Ring* each : all) prepare(*each);
  hold();
  for (Ring* each : all) verify(*each);
}

/** Each queue by a mapping of its own, of several rings. */
void twice() {
  Ring first(8, 0, 0, true), second(32, 0, 0, true);
  prepare(first);
  prepare(second);
  hold();
  verify(second);
  verify(first);
}

/** Parent and child have one together, the child has only inherited it. An epoll instance watches it. */
void inherited() {
  Ring ring(8);
  ring.nothing(1);
  const int watch = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{EPOLLIN, {.u64 = 7}};
  REQUIRE(watch >= 0 && epoll_ctl(watch, EPOLL_CTL_ADD, ring.fd(), &event) == 0);
  const pid_t child = spawn([&ring] {
    hold();
    ring.add(IORING_OP_NOP, 99);
    REQUIRE(ring.enter(1, 0) == 1);
  });
  hold();
  REQUIRE(endsWell(child) && epoll_wait(watch, &event, 1, -1) == 1 && event.data.u64 == 7);
  REQUIRE(ring.unread() == 1 && ring.take().user_data == 99);
}

/** A thread of the kernel has done something for it, and is still there. */
void worker() {
  Ring ring(8);
  ring.add(IORING_OP_NOP, 1).flags = IOSQE_ASYNC;
  ring.enterAndWait();
  REQUIRE(ring.take().user_data == 1);
  hold();
  ring.add(IORING_OP_NOP, 2).flags = IOSQE_ASYNC;
  ring.enterAndWait();
  REQUIRE(ring.take().user_data == 2);
}

/** Flags that only restrict or tune. */
void tuned() {
  Ring ring(8, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CLAMP);
  prepare(ring);
  hold();
  verify(ring);
}

/** Of one thread only, whose completions wait until it asks for them: a new one has them at once. */
void ofThread() {
  std::atomic<int> step = 0;
  std::thread thread([&step] {
    Ring ring(8, IORING_SETUP_SINGLE_ISSUER | kDeferred);
    prepare(ring);
    step = 1;
    until([&step] { return step == 2; });
    verify(ring);
  });
  until([&step] { return step == 1; });
  hold();
  step = 2;
  thread.join();
}

const Case kPlain(Supported{"ioUring", "descriptors",
                            "io_uring in which nothing is in flight: unread completions, requests not submitted yet", "restored"},
                  plain);
const Case kFresh(Supported{"ioUringFresh", "descriptors", "io_uring that was never used", "restored"}, fresh);
const Case kFull(Supported{"ioUringFull", "descriptors", "io_uring full of unread completions", "restored"}, full);
const Case kWithoutArray(Supported{"ioUringNoArray", "descriptors", "io_uring without an array of indices, as Node.js has it", "restored"},
                         withoutArray);
const Case kWide(Supported{"ioUringWide", "descriptors", "io_uring with large requests or completions (SQE128, CQE32)", "restored"}, wide);
const Case kTwice(Supported{"ioUringMappings", "memory", "several io_urings, each queue mapped by itself", "restored"}, twice);
const Case kInherited(Supported{"ioUringInherited", "descriptors", "io_uring shared with a child, watched by epoll", "restored"},
                      inherited);
const Case kWorker(Supported{"ioUringWorker", "tasks", "threads of the kernel that wait for work of an io_uring", "restored"}, worker);
const Case kOfThread(Supported{"ioUringOfThread", "descriptors", "io_uring of one thread only (SINGLE_ISSUER, DEFER_TASKRUN)", "restored"},
                     ofThread);
const Case kTuned(Supported{"ioUringTuned", "descriptors", "io_uring with COOP_TASKRUN, TASKRUN_FLAG or CLAMP", "restored"}, tuned);

}  // namespace
}  // namespace holds
