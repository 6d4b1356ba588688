#include "dump/files/ring_shape.h"

#include <sys/syscall.h>
#include <sys/user.h>
#include <unistd.h>

#include <map>

namespace blcr {
namespace {

/** Another value in a word that is shared with the program, which stands still, as long as this lives. */
class Altered {
 public:
  Altered(uint32_t& word, uint32_t value) : word_(word), before_(word) { __atomic_store_n(&word_, value, __ATOMIC_SEQ_CST); }
  ~Altered() { __atomic_store_n(&word_, before_, __ATOMIC_SEQ_CST); }
  Altered(const Altered&) = delete;
  Altered& operator=(const Altered&) = delete;

 private:
  uint32_t& word_;
  uint32_t before_;
};

/** Beyond the pages of a ring its mappings have none: that is asked of a call which does nothing, and fails otherwise for its first
 * argument. */
bool isBacked(const void* address) {
  constexpr int kNoSuchAction = 99;
  return ::syscall(SYS_rt_sigprocmask, kNoSuchAction, address, nullptr, sizeof(uint64_t)) != 0 && errno != EFAULT;
}

/** Places in the memory of a ring of that shape, of one that is made for that, once: a kernel does not change them. */
Result<RingPlaces> placesOf(const RingShape& shape) {
  static std::map<std::array<uint32_t, 3>, RingPlaces> known;
  const std::array<uint32_t, 3> key = {shape.entries, shape.completions, shape.flags};
  if (const auto found = known.find(key); found != known.end()) return found->second;
  auto sample = makeRing(shape);
  if (!sample) return Error{ENOTSUP, "such a ring cannot be made any more: " + sample.error().detail};
  return known.emplace(key, sample->places).first->second;
}

/** The queues of a ring whose completions may be large: the largest that the kernel maps, see RingMemory. */
Result<RingMemory> mapLargest(int fd, RingShape shape, const RingPlaces& places) {
  const uint64_t narrow = queueBytes(shape, places);
  shape.flags |= kRingWideResults;
  auto memory = RingMemory::mapQueues(fd, queueBytes(shape, places) + uint64_t(shape.entries) * sizeof(uint32_t));
  return memory.ok() ? std::move(memory) : RingMemory::mapQueues(fd, narrow);
}

Result<bool> hasWideResults(int fd, const RingShape& shape, const RingPlaces& places) {
  const auto memory = mapLargest(fd, shape, places);
  if (!memory) return Error{ENOTSUP, "its memory is the program's own (IORING_SETUP_NO_MMAP)"};
  const uint32_t tail = memory.value().word(places[kResultTail]);
  const Altered head(memory.value().word(places[kResultHead]), tail - 1);
  const auto told = readRingInfo(fd);
  if (!told) return told.error();
  if (!told.value().told) return Error{EAGAIN, "it is in use"};
  if (told.value().resultsListed == 0) return Error{ENOTSUP, "this kernel does not tell of what kind its completions are"};
  return told.value().wideResults;
}

/** What the kernel tells of the next call if it is the one with that index. */
Result<RingInfo> infoWithNext(int fd, const RingShape& shape, const RingPlaces& places, const RingMemory& memory, uint32_t index) {
  const uint32_t head = memory.word(places[kCallHead]);
  const Altered entry(memory.word(places[kArray] + uint32_t(sizeof(uint32_t)) * (head & (shape.entries - 1))), index);
  const Altered tail(memory.word(places[kCallTail]), head + 1);
  return readRingInfo(fd);
}

/** Whether the memory of the calls goes on where calls of 64 bytes would end; small ones share their only page. */
Result<bool> hasWideCalls(int fd, RingShape shape) {
  const uint64_t narrow = callBytes(shape);
  shape.flags |= kRingWideCalls;
  if (narrow < PAGE_SIZE) return Error{ENOTSUP, "this kernel does not tell whether its entries have 64 bytes or 128"};
  const auto memory = RingMemory::mapCalls(fd, callBytes(shape));
  return memory.ok() && isBacked(memory.value().calls().data() + narrow);
}

/** What the kernel lists when the next call is one that exists; nothing when it does not look there, or lists one that does not exist. */
Result<RingInfo> listNext(int fd, const RingShape& shape, const RingPlaces& places) {
  const auto memory = RingMemory::mapQueues(fd, queueBytes(shape, places));
  if (!memory) return RingInfo{};  // before Linux 6.10: there is no room for an array
  const uint32_t head = memory.value().word(places[kCallHead]);
  const uint64_t entry = places[kArray] + sizeof(uint32_t) * (head & (shape.entries - 1));
  // The check reads eight bytes; whole pages are there or not.
  if (!isBacked(memory.value().queues().data() + entry / sizeof(uint64_t) * sizeof(uint64_t))) return RingInfo{};
  auto existing = infoWithNext(fd, shape, places, memory.value(), 0);
  if (!existing) return existing;
  const auto other = infoWithNext(fd, shape, places, memory.value(), UINT32_MAX);
  if (!other) return other.error();
  if (!existing->told || !other.value().told) return Error{EAGAIN, "it is in use"};
  if (other.value().callsListed != 0) existing->callsListed = 0;
  return existing;
}

/** The flags of array and calls; `shape` has that of the results, `places` are for a ring with an array. */
Result<uint32_t> callFlags(int fd, const RingShape& shape, const RingPlaces& places) {
  const auto listed = listNext(fd, shape, places);
  if (!listed) return listed.error();
  const bool array = listed.value().callsListed != 0;
  bool wide = listed.value().wideCalls;
  if (!array && !wide) {
    const auto found = hasWideCalls(fd, shape);
    if (!found) return found.error();
    wide = found.value();
  }
  return (array ? 0 : kRingNoArray) | (wide ? kRingWideCalls : 0);
}

}  // namespace

Result<RingForm> findRingForm(int fd, const RingInfo& info) {
  RingForm form;
  form.shape = {info.callMask + 1, info.resultMask + 1, 0};
  auto places = placesOf(form.shape);
  if (!places) return places.error();
  const auto wide = hasWideResults(fd, form.shape, *places);
  if (!wide) return wide.error();
  if (wide.value()) {
    form.shape.flags = kRingWideResults;
    places = placesOf(form.shape);
    if (!places) return places.error();
  }
  const auto flags = callFlags(fd, form.shape, *places);
  if (!flags) return flags.error();
  if (flags.value() != 0) {
    form.shape.flags |= flags.value();
    places = placesOf(form.shape);
    if (!places) return places.error();
  }
  form.places = *places;
  return form;
}

}  // namespace blcr
