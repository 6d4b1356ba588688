// io_urings in which nothing is under way.
#include <algorithm>
#include <cstring>

#include "base/codes.h"
#include "dump/files/record_files.h"
#include "dump/files/ring_holders.h"
#include "dump/files/ring_registrations.h"
#include "dump/files/ring_shape.h"
#include "dump/memory/ring_views.h"

namespace blcr {
namespace {

/** F_BUFFER, F_MORE, F_NOTIF, F_BUF_MORE, F_SKIP and F_32: completions of requests that have several, or buffers, or another size. */
constexpr uint32_t kUnusualResult = 1u << 0 | 1u << 1 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 15;

Error again(const FoundDescriptor& found, const std::string& why) {
  return Error{kErrorTemporary, found.name() + ": " + why + "; it can be tried again"};
}

Result<RingInfo> readQuietInfo(const FoundDescriptor& found, int fd) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    auto info = readRingInfo(fd);
    if (!info || info->told) return info;
  }
  return again(found, "it is in use by somebody else than the job's threads");
}

/** Settings and registrations that the kernel tells of. */
Status refuseTold(const FoundDescriptor& found, const RingInfo& info) {
  if (!info.hasCounters) return refuseFile(found, "this kernel does not tell the state of an io_uring (Linux 5.16 does)");
  if (info.thread >= 0) return refuseFile(found, "a thread of the kernel polls its queue (IORING_SETUP_SQPOLL), which is not supported");
  if (info.files != 0) return refuseFile(found, "files are registered with it, which is not supported");
  if (info.buffers != 0) return refuseFile(found, "buffers are registered with it, which is not supported");
  if (info.personalities) return refuseFile(found, "personalities are registered with it, which is not supported");
  if (info.busyPolling) return refuseFile(found, "busy polling (NAPI) is set for it, which is not supported");
  return {};
}

/** What is under way, as far as the counters tell: each request has one completion, unless it asked for none or several. */
Status refuseBusy(const FoundDescriptor& found, const RingInfo& info) {
  if (info.overflown != 0) return again(found, "completions wait for room in it");
  const uint32_t pending = info.callsTaken - info.resultsWritten;
  if (info.armed != 0 || (pending != 0 && pending < UINT32_MAX / 2))
    return again(found, "requests are in flight in it (or had IOSQE_CQE_SKIP_SUCCESS, which looks the same)");
  if (pending != 0)
    return refuseFile(found,
                      "it has had more completions than requests (multishot requests, notifications, messages of other rings): "
                      "whether one is in flight cannot be told");
  if (info.callHead != info.callsTaken || info.resultTail != info.resultsWritten || info.callTail - info.callHead > info.callMask + 1 ||
      info.resultTail - info.resultHead > info.resultMask + 1)
    return refuseFile(found, "the program has written impossible counters into its memory");
  if (info.callsTaken > image::kMaxRingCount)
    return refuseFile(found,
                      "it has had " + std::to_string(info.callsTaken) + " requests: to count as far again would take a restart too long");
  return {};
}

Status refuseDisabled(const FoundDescriptor& found, int fd) {
  const int answer = enterRing(fd, 0, 0);
  if (answer == 0) return {};
  if (answer == -EBADFD) return refuseFile(found, "it is not enabled yet (IORING_SETUP_R_DISABLED), which is not supported");
  return refuseFile(found, std::string("it cannot be asked after: ") + std::strerror(-answer));
}

uint32_t wordAt(std::span<const char> memory, size_t at) {
  uint32_t word = 0;
  std::memcpy(&word, memory.data() + at, sizeof word);
  return word;
}

/** Traces of what shows nowhere else. */
Status refuseTraces(const FoundDescriptor& found, const RingForm& form, const RingMemory& memory) {
  const std::span<const char> queues = memory.queues(), calls = memory.calls();
  const size_t result = (form.shape.flags & kRingWideResults) != 0 ? 32 : 16, call = (form.shape.flags & kRingWideCalls) != 0 ? 128 : 64;
  for (size_t index = 0; index < form.shape.completions; ++index)
    if ((wordAt(queues, form.places[kResults] + index * result + 12) & kUnusualResult) != 0)
      return refuseFile(found, "it has multishot requests, provided buffers or mixed completions, which are not supported");
  for (size_t at = 0; at < calls.size(); at += call) {
    uint16_t personality = 0;
    std::memcpy(&personality, calls.data() + at + offsetof(io_uring_sqe, personality), sizeof personality);
    if (personality != 0) return refuseFile(found, "personalities are registered with it, which is not supported");
    const bool selects = (uint8_t(calls[at + 1]) & IOSQE_BUFFER_SELECT) != 0;
    if (selects || uint8_t(calls[at]) == IORING_OP_PROVIDE_BUFFERS)
      return refuseFile(found, "buffers are provided to it, which is not supported");
  }
  if (memory.word(form.places[kDropped]) != 0 || memory.word(form.places[kOverflow]) != 0)
    return refuseFile(found, "requests or completions of it were dropped");
  if (memory.word(form.places[kCallMask]) != form.shape.entries - 1 || memory.word(form.places[kResultMask]) != form.shape.completions - 1)
    return refuseFile(found, "the program has overwritten the sizes in its memory");
  return {};
}

std::string trimmed(std::span<const char> content) {
  size_t size = content.size();
  while (size > 0 && content[size - 1] == 0) --size;
  return {content.data(), size};
}

bool sameState(const RingInfo& a, const RingInfo& b) {
  return a.callHead == b.callHead && a.callTail == b.callTail && a.resultHead == b.resultHead && a.resultTail == b.resultTail &&
         a.callsTaken == b.callsTaken && a.resultsWritten == b.resultsWritten;
}

Status copyRing(const FoundDescriptor& found, int fd, const RingInfo& info, image::Ring& ring) {
  const auto form = findRingForm(fd, info);
  if (!form) return form.error().code == EAGAIN ? again(found, form.error().detail) : refuseFile(found, form.error().detail);
  const auto memory = RingMemory::map(fd, form.value().shape, form.value().places);
  if (!memory) return refuseFile(found, memory.error().detail);
  BLCR_TRY(refuseTraces(found, form.value(), memory.value()));
  ring.completions = form.value().shape.completions;
  ring.flags = form.value().shape.flags;
  std::copy(form.value().places.begin(), form.value().places.end(), ring.layout);
  ring.count = info.callsTaken;
  ring.queues = trimmed(memory.value().queues());
  ring.calls = trimmed(memory.value().calls());
  const auto after = readQuietInfo(found, fd);
  if (!after) return after.error();
  if (!sameState(info, after.value())) return again(found, "it changed while the job stood still");
  ring.entries = form.value().shape.entries;
  return {};
}

}  // namespace

Status recordRing(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  static_assert(kRingPlaceCount == image::kRingPlaces);
  file.kind = image::FileKind::kRing;
  file.object = ringIndex(context.recording, {found.info.st_dev, found.info.st_ino});
  image::Ring& ring = context.recording.image.rings[file.object];
  if (ring.entries != 0) return refuseFile(found, "this kernel does not tell it from other rings");
  if (found.task != found.pid)  // it would be refused later anyway, but from a thread it cannot be borrowed before Linux 6.9
    return Error{kErrorNoSupport, "process " + std::to_string(found.pid) + ": its main thread has ended, and it uses io_uring"};
  const auto own = borrowDescriptor(found);
  if (!own) return refuseFile(found, "it cannot be looked at here (pidfd_getfd): " + own.error().detail);
  const int fd = own.value().get();
  const auto info = readQuietInfo(found, fd);
  if (!info) return info.error();
  BLCR_TRY(refuseTold(found, info.value()));
  BLCR_TRY(refuseDisabled(found, fd));
  BLCR_TRY(refuseBusy(found, info.value()));
  BLCR_TRY(refuseHeldOutside(context, found));
  BLCR_TRY(refuseRegistered(context, found, fd));
  return copyRing(found, fd, info.value(), ring);
}

}  // namespace blcr
