// io_urings that cannot be made again: refused by name, and what is in flight goes on.
#include <sys/eventfd.h>

#include <atomic>
#include <thread>

#include "rings.h"

namespace holds {
namespace {

/** Waits in the kernel for a pipe that gets its data after the refusal, and a thread for that: it is not told of the stop. */
void inFlight() {
  Ring ring(8);
  Pipe pipe;
  io_uring_sqe& call = ring.add(IORING_OP_POLL_ADD, 1);
  call.fd = pipe.read;
  call.poll32_events = 1;  // POLLIN
  REQUIRE(ring.enter(1, 0) == 1);
  int waited = -1;
  std::thread thread([&] { waited = ring.enter(0, 1); });
  hold();
  REQUIRE(ring.unread() == 0 && put(pipe.write, "x") == 0);
  thread.join();
  REQUIRE(waited == 0 && ring.take().user_data == 1);
}

/** A thread of the kernel reads: stopping it would have interrupted the read. */
void inWorker() {
  Ring ring(8);
  Pipe pipe;
  char byte = 0;
  io_uring_sqe& call = ring.add(IORING_OP_READ, 1);
  call.flags = IOSQE_ASYNC;
  call.fd = pipe.read;
  call.addr = reinterpret_cast<uint64_t>(&byte);
  call.len = 1;
  REQUIRE(ring.enter(1, 0) == 1);
  hold();
  REQUIRE(ring.unread() == 0 && put(pipe.write, "x") == 0 && ring.enter(0, 1) == 0);
  REQUIRE(ring.take().res == 1 && byte == 'x');
}

void timeout() {
  Ring ring(8);
  const struct {
    int64_t seconds, nanoseconds;
  } hour = {3600, 0};
  io_uring_sqe& call = ring.add(IORING_OP_TIMEOUT, 1);
  call.addr = reinterpret_cast<uint64_t>(&hour);
  call.len = 1;
  REQUIRE(ring.enter(1, 0) == 1);
  hold();
  io_uring_sqe& removal = ring.add(IORING_OP_TIMEOUT_REMOVE, 2);
  removal.addr = 1;
  REQUIRE(ring.enter(1, 2) == 1 && ring.unread() == 2);
}

void multishot() {
  Ring ring(8);
  Pipe pipe;
  io_uring_sqe& call = ring.add(IORING_OP_POLL_ADD, 1);
  call.fd = pipe.read;
  call.poll32_events = 1;
  call.len = IORING_POLL_ADD_MULTI;
  REQUIRE(ring.enter(1, 0) == 1 && put(pipe.write, "x") == 0 && ring.enter(0, 1) == 0 && ring.take().user_data == 1);
  io_uring_sqe& removal = ring.add(IORING_OP_POLL_REMOVE, 2);
  removal.addr = 1;
  REQUIRE(ring.enter(1, 2) == 1 && ring.unread() == 2);
  hold();
  REQUIRE(ring.unread() == 2);
}

void overflown() {
  Ring ring(4);
  for (uint64_t data = 0; data < 9; ++data) {
    ring.add(IORING_OP_NOP, data);
    REQUIRE(ring.enter(1, 0) == 1);
  }
  hold();
  for (uint64_t data = 0; data < 8; ++data) REQUIRE(ring.take().user_data == data);
  REQUIRE(ring.enter(0, 1) == 0 && ring.take().user_data == 8);
}

void busyPolling() {
  constexpr uint32_t kRegisterNapi = 27;  // of Linux 6.9. Source: linux/io_uring.h
  Ring ring(8);
  uint32_t napi[4] = {10};  // microseconds
  if (ring.registers(kRegisterNapi, napi, 1) != 0) notHere();
  hold();
}

void region() {
  constexpr uint32_t kRegisterRegion = 34;  // of Linux 6.13. Source: linux/io_uring.h
  Ring ring(8);
  void* const memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uint64_t description[8] = {reinterpret_cast<uint64_t>(memory), 4096, 1};  // IORING_MEM_REGION_TYPE_USER
  uint64_t own[4] = {reinterpret_cast<uint64_t>(description)};
  if (ring.registers(kRegisterRegion, own, 1) != 0) notHere();
  hold();
}

void polled() {
  Ring ring(8, IORING_SETUP_SQPOLL);
  hold();
}

void disabled() {
  Ring ring(8, IORING_SETUP_R_DISABLED);
  hold();
  REQUIRE(ring.registers(IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0);
  ring.nothing(1);
}

void restricted() {
  Ring ring(8, IORING_SETUP_R_DISABLED);
  io_uring_restriction only{};
  only.opcode = IORING_RESTRICTION_SQE_OP;
  only.sqe_op = IORING_OP_NOP;
  REQUIRE(ring.registers(IORING_REGISTER_RESTRICTIONS, &only, 1) == 0);
  REQUIRE(ring.registers(IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0);
  hold();
  ring.nothing(1);
}

void files() {
  Ring ring(8);
  const int own[] = {0};
  REQUIRE(ring.registers(IORING_REGISTER_FILES, own, 1) == 0);
  hold();
}

void buffers() {
  Ring ring(8);
  static char memory[4096];
  const iovec own = {memory, sizeof memory};
  REQUIRE(ring.registers(IORING_REGISTER_BUFFERS, &own, 1) == 0);
  hold();
}

void event() {
  Ring ring(8);
  const int own = eventfd(0, EFD_CLOEXEC);
  REQUIRE(ring.registers(IORING_REGISTER_EVENTFD, &own, 1) == 0);
  hold();
  ring.nothing(1);
  uint64_t count = 0;
  REQUIRE(read(own, &count, sizeof count) == sizeof count && count == 1);
}

/** Of a ring that answers only the thread whose it is. */
void eventOfThread() {
  std::atomic<int> step = 0;
  std::thread thread([&step] {
    Ring ring(8, IORING_SETUP_SINGLE_ISSUER);
    const int own = eventfd(0, EFD_CLOEXEC);
    REQUIRE(ring.registers(IORING_REGISTER_EVENTFD, &own, 1) == 0);
    step = 1;
    until([&step] { return step == 2; });
    ring.nothing(1);
  });
  until([&step] { return step == 1; });
  hold();
  step = 2;
  thread.join();
}

void personality() {
  Ring ring(8);
  const int own = ring.registers(IORING_REGISTER_PERSONALITY, nullptr, 0);
  REQUIRE(own > 0);
  ring.add(IORING_OP_NOP, 1).personality = uint16_t(own);
  hold();
  REQUIRE(ring.enter(1, 1) == 1 && ring.take().res == 0);
}

void provided() {
  Ring ring(8);
  static char memory[4096];
  io_uring_sqe& call = ring.add(IORING_OP_PROVIDE_BUFFERS, 1);
  call.fd = 1;
  call.addr = reinterpret_cast<uint64_t>(memory);
  call.len = sizeof memory;
  call.buf_group = 5;
  REQUIRE(ring.enter(1, 1) == 1 && ring.take().res >= 0);
  for (uint32_t done = 0; done < 8; ++done) ring.nothing(done);
  hold();
}

void registeredDescriptor() {
  Ring ring(8);
  io_uring_rsrc_update own{};
  own.offset = 3;
  own.data = uint64_t(ring.fd());
  if (ring.registers(IORING_REGISTER_RING_FDS, &own, 1) != 1) notHere();
  hold();
}

void closed() {
  Ring ring(8);
  close(ring.fd());
  hold();
}

void part() {
  Ring ring(256);
  ring.cutQueues();
  hold();
}

/** Its memory is that of the program. */
void ownMemory() {
  void* const memory = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  io_uring_params parameters{};
  parameters.flags = kNoMemoryMap | kNoArray;
  memcpy(reinterpret_cast<char*>(&parameters.sq_off) + 32, &memory, sizeof memory);
  const auto second = static_cast<char*>(memory) + 4096;
  memcpy(reinterpret_cast<char*>(&parameters.cq_off) + 32, &second, sizeof second);
  if (syscall(SYS_io_uring_setup, 8, &parameters) < 0) notHere();
  hold();
}

const Case kInFlight(Supported{"ioUringInFlight", "descriptors", "io_uring with a request in flight", "refused: requests are in flight"},
                     inFlight);
const Case kInWorker(Supported{"ioUringInWorker", "descriptors", "io_uring with a request that a thread of the kernel works on",
                               "refused: requests are in flight"},
                     inWorker);
const Case kTimeout(Supported{"ioUringTimeout", "descriptors", "io_uring with a time-out that runs", "refused: requests are in flight"},
                    timeout);
const Case kMultishot(Supported{"ioUringMultishot", "descriptors", "io_uring that has had several completions for a request (multishot)",
                                "refused: more completions than requests"},
                      multishot);
const Case kOverflown(Supported{"ioUringOverflown", "descriptors", "io_uring with completions that it has no room for",
                                "refused: completions wait for room"},
                      overflown);
const Case kBusyPolling(Supported{"ioUringBusyPolling", "descriptors", "io_uring with busy polling of networks", "refused: busy polling"},
                        busyPolling);
const Case kRegion(Supported{"ioUringRegion", "descriptors", "io_uring with a registered region of memory",
                             "refused: a region of memory is registered"},
                   region);
const Case kPolled(Supported{"ioUringPolled", "descriptors", "io_uring whose queue a thread of the kernel polls (SQPOLL)",
                             "refused: IORING_SETUP_SQPOLL"},
                   polled);
const Case kDisabled(Supported{"ioUringDisabled", "descriptors", "io_uring that is not enabled yet", "refused: IORING_SETUP_R_DISABLED"},
                     disabled);
const Case kRestricted(Supported{"ioUringRestricted", "descriptors", "io_uring with restrictions", "refused: IORING_REGISTER_RESTRICTIONS"},
                       restricted);
const Case kFiles(Supported{"ioUringFiles", "descriptors", "io_uring with registered files", "refused: files are registered"}, files);
const Case kBuffers(Supported{"ioUringBuffers", "descriptors", "io_uring with registered buffers", "refused: buffers are registered"},
                    buffers);
const Case kEvent(Supported{"ioUringEvent", "descriptors", "io_uring with a registered eventfd", "refused: an eventfd is registered"},
                  event);
const Case kEventOfThread(Supported{"ioUringEventOfThread", "descriptors", "io_uring of one thread only with a registered eventfd",
                                    "refused: an eventfd is registered"},
                          eventOfThread);
const Case kPersonality(Supported{"ioUringPersonality", "descriptors", "io_uring with registered personalities",
                                  "refused: personalities are registered"},
                        personality);
const Case kProvided(Supported{"ioUringProvided", "descriptors", "io_uring with provided buffers", "refused: buffers are provided"},
                     provided);
const Case kRegistered(Supported{"ioUringRegistered", "tasks", "io_uring whose descriptor a thread has registered",
                                 "refused: IORING_REGISTER_RING_FDS"},
                       registeredDescriptor);
const Case kClosed(Supported{"ioUringClosed", "memory", "a mapped io_uring whose descriptor is closed",
                             "refused: a ring is mapped whose descriptor is closed"},
                   closed);
const Case kPart(Supported{"ioUringPart", "memory", "an io_uring of which a part is mapped", "refused: or a part of them"}, part);
const Case kOwnMemory(Supported{"ioUringOwnMemory", "descriptors", "io_uring in memory of the program's own (NO_MMAP)",
                                "refused: IORING_SETUP_NO_MMAP"},
                      ownMemory);

}  // namespace
}  // namespace holds
