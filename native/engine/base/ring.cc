#include "base/ring.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/thread.h"

namespace blcr {
namespace {

RingPlaces placesOf(const io_uring_params& made) {
  const io_sqring_offsets& sq = made.sq_off;
  const io_cqring_offsets& cq = made.cq_off;
  return {sq.head, sq.tail, sq.ring_mask, sq.ring_entries, sq.flags,    sq.dropped, sq.array,
          cq.head, cq.tail, cq.ring_mask, cq.ring_entries, cq.overflow, cq.cqes,    cq.flags};
}

Status setUp(const RingShape& shape, MadeRing& made) {
  io_uring_params parameters{};
  parameters.flags = shape.flags | kRingCompletions;
  parameters.cq_entries = shape.completions;
  made.fd.reset(int(::syscall(SYS_io_uring_setup, shape.entries, &parameters)));
  if (!made.fd) return systemError("io_uring_setup");
  made.places = placesOf(parameters);
  const bool wanted = parameters.sq_entries == shape.entries && parameters.cq_entries == shape.completions;
  return wanted ? Status() : Error{EINVAL, "io_uring_setup: a ring of another size"};
}

Result<std::span<char>> mapPart(int fd, uint64_t size, uint64_t offset) {
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, off_t(offset));
  if (at == MAP_FAILED) return systemError("mapping a ring");
  return std::span<char>(static_cast<char*>(at), size);
}

}  // namespace

uint64_t queueBytes(const RingShape& shape, const RingPlaces& places) {
  const uint64_t results = uint64_t(shape.completions) * ((shape.flags & kRingWideResults) != 0 ? 32 : 16);
  const uint64_t array = (shape.flags & kRingNoArray) != 0 ? 0 : places[kArray] + uint64_t(shape.entries) * sizeof(uint32_t);
  return std::max(places[kResults] + results, array);
}

uint64_t callBytes(const RingShape& shape) { return uint64_t(shape.entries) * ((shape.flags & kRingWideCalls) != 0 ? 128 : 64); }

Result<RingMemory> RingMemory::mapQueues(int fd, uint64_t size) {
  RingMemory made;
  auto queues = mapPart(fd, size, IORING_OFF_SQ_RING);
  if (!queues) return queues.error();
  made.queues_ = *queues;
  return made;
}

Result<RingMemory> RingMemory::mapCalls(int fd, uint64_t size) {
  RingMemory made;
  auto calls = mapPart(fd, size, IORING_OFF_SQES);
  if (!calls) return calls.error();
  made.calls_ = *calls;
  return made;
}

Result<RingMemory> RingMemory::map(int fd, const RingShape& shape, const RingPlaces& places) {
  auto made = mapQueues(fd, queueBytes(shape, places));
  if (!made) return made;
  auto calls = mapCalls(fd, callBytes(shape));
  if (!calls) return calls;
  made->calls_ = std::exchange(calls->calls_, {});
  return made;
}

RingMemory::RingMemory(RingMemory&& other) noexcept : queues_(std::exchange(other.queues_, {})), calls_(std::exchange(other.calls_, {})) {}

RingMemory::~RingMemory() {
  for (const std::span<char> part : {queues_, calls_})
    if (!part.empty()) ::munmap(part.data(), part.size());
}

Result<MadeRing> makeRing(const RingShape& shape, const std::function<Status(const MadeRing&)>& use) {
  MadeRing made;
  Status done;
  Thread thread;
  BLCR_TRY(thread.start([&] {
    done = setUp(shape, made);
    if (done && use) done = use(made);
  }));
  thread.join();
  if (!done) return done.error();
  return made;
}

int enterRing(int fd, uint32_t submit, uint32_t flags) {
  const long result = ::syscall(SYS_io_uring_enter, fd, submit, 0, flags, nullptr, 0);
  return result < 0 ? -errno : int(result);
}

int registerWithRing(int fd, uint32_t operation, void* argument, uint32_t count) {
  const long result = ::syscall(SYS_io_uring_register, fd, operation, argument, count);
  return result < 0 ? -errno : int(result);
}

}  // namespace blcr
