#include "dump/files/ring_registrations.h"

#include <linux/io_uring.h>
#include <sys/syscall.h>

#include <cstring>

#include "base/ring.h"

namespace blcr {
namespace {

// Of newer kernels than Debian 12's headers. Source: linux/io_uring.h
constexpr uint32_t kRegisterBufferRing = 22, kRegisterRegion = 34;
constexpr uint32_t kBufferGroups = 64;  // more could be asked after only for much time

/** Registrations that could not succeed in any case: they fail for another reason where there is one already. */
struct Questions {
  int32_t event = -1;       // no eventfd
  uint64_t region[4] = {};  // struct io_uring_mem_region_reg: at no address
  struct {
    uint64_t address = ~0ull << 12;  // nobody's
    uint32_t entries = 1;
    uint16_t group = 0, flags = 0;
    uint64_t reserved[3] = {};
  } buffers[kBufferGroups];
  Questions() {
    for (uint32_t group = 0; group < kBufferGroups; ++group) buffers[group].group = uint16_t(group);
  }
};
static_assert(sizeof Questions::buffers[0] == 40);  // struct io_uring_buf_reg

/** Calls that ask them, in that order, of a copy of the questions at `at`. */
std::vector<RemoteCall> callsOf(uint64_t fd, uint64_t at) {
  const auto ask = [&](uint64_t operation, uint64_t place) {
    return RemoteCall{SYS_io_uring_register, {fd, operation, at + place, 1, 0, 0}};
  };
  std::vector<RemoteCall> calls = {ask(IORING_REGISTER_EVENTFD, offsetof(Questions, event)),
                                   ask(kRegisterRegion, offsetof(Questions, region))};
  for (uint32_t group = 0; group < kBufferGroups; ++group)
    calls.push_back(ask(kRegisterBufferRing, offsetof(Questions, buffers) + group * sizeof Questions::buffers[0]));
  return calls;
}

std::vector<RemoteCall> askHere(int fd) {
  Questions questions;
  std::vector<RemoteCall> calls = callsOf(uint64_t(fd), reinterpret_cast<uint64_t>(&questions));
  for (RemoteCall& call : calls)
    call.result = registerWithRing(fd, uint32_t(call.arguments[1]), reinterpret_cast<void*>(call.arguments[2]), 1);
  return calls;
}

Result<std::vector<RemoteCall>> askThread(FrozenProcess& process, size_t task, int fd) {
  const Scratch& scratch = process.foothold->scratch();
  const Questions questions;
  BLCR_TRY(scratch.memory().write(scratch.data(), std::as_bytes(std::span(&questions, 1))));
  std::vector<RemoteCall> calls = callsOf(uint64_t(fd), scratch.data());
  BLCR_TRY(runInTask(process, task, calls));
  return calls;
}

bool isAnothers(const std::vector<RemoteCall>& calls) { return calls.front().result == -EEXIST; }

/** Of all threads that have it, the one whose it is. */
Result<std::vector<RemoteCall>> askOwner(const FileContext& context, const FoundDescriptor& found) {
  for (const FoundDescriptor& other : context.found) {
    if (other.description != found.description) continue;
    for (FrozenProcess& process : context.processes) {
      if (process.pid != other.pid) continue;
      for (size_t task = 0; task < process.tasks.size(); ++task) {
        auto answers = askThread(process, task, other.fd);
        if (!answers || !isAnothers(*answers)) return answers;
      }
    }
  }
  return refuseFile(found, "only one thread may use it (IORING_SETUP_SINGLE_ISSUER), and that has ended");
}

}  // namespace

Status refuseRegistered(const FileContext& context, const FoundDescriptor& found, int fd) {
  std::vector<RemoteCall> answers = askHere(fd);
  if (isAnothers(answers)) {
    auto owners = askOwner(context, found);
    if (!owners) return owners.error();
    answers = *std::move(owners);
  }
  const int64_t event = answers[0].result;
  if (event == -EBUSY) return refuseFile(found, "an eventfd is registered with it, which is not supported");
  if (event == -EACCES) return refuseFile(found, "what may be done with it was restricted (IORING_REGISTER_RESTRICTIONS)");
  if (event != -EBADF) return refuseFile(found, std::string("what is registered with it cannot be asked: ") + std::strerror(int(-event)));
  if (answers[1].result == -EBUSY) return refuseFile(found, "a region of memory is registered with it, which is not supported");
  for (size_t index = 2; index < answers.size(); ++index)
    if (answers[index].result == -EEXIST) return refuseFile(found, "buffers are provided to it, which is not supported");
  return {};
}

}  // namespace blcr
