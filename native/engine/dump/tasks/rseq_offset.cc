#include "dump/tasks/rseq_offset.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>

#include <array>
#include <string>

#include "base/codes.h"
#include "base/elf.h"
#include "base/features.h"
#include "base/io.h"
#include "trace/tracee.h"

namespace blcr {
namespace {

/** Value of a dynamic symbol in an ELF file, 0 when there is none. */
uint64_t findSymbol(const std::string& image, std::string_view wanted) {
  for (const ElfSymbol& symbol : dynamicSymbols(std::as_bytes(std::span(image)))) {
    if (symbol.name == wanted) return symbol.value;
  }
  return 0;
}

enum class Registration { kNone, kHere, kElsewhere };

/**
 * Whether the task has registered the area at `address`, or another one. Nothing is left of the questions: to take back a registration with
 * another signature fails with EPERM where it exists, and one of a place of ours is made only where there is none. Source: kernel/rseq.c.
 */
Result<Registration> askFor(FrozenProcess& process, size_t task, uint64_t address, uint32_t signature) {
  constexpr uint64_t kAreaSize = 32, kUnregister = 1;  // RSEQ_FLAG_UNREGISTER, linux/rseq.h
  const Scratch& scratch = process.foothold->scratch();
  const std::array<char, kAreaSize> nowhere{};  // in no critical section
  BLCR_TRY(scratch.memory().write(scratch.data(), std::as_bytes(std::span(nowhere))));
  std::array<RemoteCall, 3> calls{{
      {SYS_rseq, {address, kAreaSize, kUnregister, uint64_t(~signature)}},
      {SYS_rseq, {scratch.data(), kAreaSize, 0, signature}},
      {SYS_rseq, {scratch.data(), kAreaSize, kUnregister, signature}},
  }};
  BLCR_TRY(runInTask(process, task, calls));
  if (calls[0].result == -EPERM) return Registration::kHere;
  return calls[1].result == -EINVAL ? Registration::kElsewhere : Registration::kNone;
}

}  // namespace

bool kernelTellsRseq(pid_t tid) {
  constexpr int kGetRseqConfiguration = 0x420f;
  uint64_t answer[4] = {};
  return featureAllowed("rseq_config") && ::ptrace(static_cast<__ptrace_request>(kGetRseqConfiguration), tid, sizeof answer, answer) >= 0;
}

int64_t glibcRseqOffset(pid_t pid, const std::vector<Mapping>& maps) {
  for (const Mapping& mapping : maps) {
    const bool loader = mapping.path.find("/ld-linux-x86-64.so") != std::string::npos || mapping.path.find("/ld-2.") != std::string::npos;
    if (!loader || mapping.offset != 0) continue;
    const auto image = readFile(mapping.path);
    const uint64_t value = image ? findSymbol(image.value(), "__rseq_offset") : 0;
    const auto offset = value == 0 ? Result<int64_t>(int64_t(0)) : RemoteMemory(pid).get<int64_t>(mapping.start + value);
    return offset ? offset.value() : 0;
  }
  return 0;
}

Status confirmRseq(FrozenProcess& process, image::Process& into) {
  if (kernelTellsRseq(process.speaker())) return {};
  for (size_t index = 0; index < into.tasks.size(); ++index) {
    image::Task& task = into.tasks[index];
    const auto found = askFor(process, index, task.rseqAddress, task.rseqSignature);
    if (!found.ok()) return found.error();
    if (found.value() == Registration::kElsewhere)
      return Error{kErrorNoSupport, taskName(process.pid, task.tid) +
                                        " has registered restartable sequences of its own (rseq), and this kernel does not tell where: "
                                        "Linux 5.13 does"};
    if (found.value() == Registration::kNone) task.rseqAddress = 0, task.rseqSize = task.rseqSignature = 0;
  }
  return {};
}

}  // namespace blcr
