#include "restore/files/rings.h"

#include <algorithm>
#include <cstring>

#include "base/codes.h"
#include "base/ring.h"

namespace blcr {
namespace {

std::string ringName(const image::Ring& ring) { return "an io_uring of " + std::to_string(ring.entries) + " entries"; }

Error refuse(const image::Ring& ring, const std::string& why) { return Error{kErrorNoSupport, ringName(ring) + ": " + why}; }

Error explain(const image::Ring& ring, const Error& error) {
  if (error.code == EPERM || error.code == ENOSYS || error.code == EACCES)
    return refuse(ring,
                  "the job needs it, and it may not be made here (kernel.io_uring_disabled, a seccomp filter, or no io_uring in this "
                  "kernel): " +
                      error.detail);
  if (error.code == EINVAL) return refuse(ring, "this kernel does not make such a one: " + error.detail);
  return Error{error.code, ringName(ring) + ": " + error.detail};
}

/**
 * As many requests that do nothing as the recorded ring had; all of its memory is zero, which is such a request each. Completions are left
 * unread from where the program had not read them: what the kernel knows of free room may not go beyond that.
 */
Status countAgain(int fd, const image::Ring& ring, const RingPlaces& places, const RingMemory& memory, uint32_t unread) {
  uint32_t& tail = memory.word(places[kCallTail]);
  uint32_t& read = memory.word(places[kResultHead]);
  if ((ring.flags & kRingNoArray) == 0)
    for (uint32_t index = 0; index < ring.entries; ++index) memory.word(places[kArray] + index * uint32_t(sizeof index)) = index;
  for (uint32_t done = 0; done < ring.count;) {
    // The head of the completions may wait where it is at the end: before the first one, when the ring is young.
    const uint32_t head = std::min(done, ring.count - std::min(unread, ring.count));
    __atomic_store_n(&read, head, __ATOMIC_RELEASE);
    const uint32_t room = ring.completions - (done - head);
    const uint32_t batch = std::min({ring.entries, ring.count - done, room});
    __atomic_store_n(&tail, done + batch, __ATOMIC_RELEASE);
    const int submitted = enterRing(fd, batch, 0);
    if (submitted == -EINTR || submitted == -EAGAIN) continue;
    if (submitted <= 0) return Error{submitted == 0 ? EIO : -submitted, "requests that do nothing are not taken"};
    done += uint32_t(submitted);
  }
  return {};
}

Status fill(const MadeRing& made, const image::Ring& ring) {
  const RingShape shape{ring.entries, ring.completions, ring.flags};
  if (!std::equal(made.places.begin(), made.places.end(), ring.layout)) return refuse(ring, "this kernel lays its memory out otherwise");
  const auto memory = RingMemory::map(made.fd.get(), shape, made.places);
  if (!memory) return memory.error();
  const auto queues = memory.value().queues(), calls = memory.value().calls();
  const auto head = made.places[kResultHead];
  if (ring.queues.size() > queues.size() || ring.calls.size() > calls.size() || head + sizeof(uint32_t) > ring.queues.size())
    return Error{EINVAL, "the context has an impossible ring"};
  uint32_t read = 0;
  std::memcpy(&read, ring.queues.data() + head, sizeof read);
  const uint32_t unread = ring.count - read;
  if (unread > ring.completions) return Error{EINVAL, "the context has a ring with impossible counters"};
  BLCR_TRY(countAgain(made.fd.get(), ring, made.places, memory.value(), unread));
  std::memset(queues.data(), 0, queues.size());
  std::memcpy(queues.data(), ring.queues.data(), ring.queues.size());
  std::memset(calls.data(), 0, calls.size());
  std::memcpy(calls.data(), ring.calls.data(), ring.calls.size());
  return {};
}

}  // namespace

Result<UniqueFd> restoreRing(const image::Ring& ring) {
  Status filled;
  auto made = makeRing({ring.entries, ring.completions, ring.flags}, [&](const MadeRing& fresh) {
    filled = fill(fresh, ring);
    return Status();
  });
  if (!made) return explain(ring, made.error());
  if (!filled) return filled.error();
  return std::move(made->fd);
}

}  // namespace blcr
