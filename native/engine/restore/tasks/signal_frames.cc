#include <sys/user.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include "image/ended_task.h"
#include "restore/memory/kernel_areas.h"

namespace blcr {
namespace {

using image::Area;

constexpr uint64_t kMostStack = 8 * 1024 * 1024;  // of one stack, from its pointer on
constexpr size_t kMostStacks = 8;                 // on which handlers of one thread interrupted each other
constexpr size_t kChunk = 64 * 1024;
constexpr uint64_t kUserCode = 0x33;  // cs of 64-bit user code

/** The end of the registers in a signal frame. Source: asm/sigcontext.h, sigcontext_64. */
struct FrameTail {
  uint64_t rsp, rip, flags, segments;
  [[nodiscard]] bool isFrame() const { return (segments & 0xffff) == kUserCode && (flags & 2) != 0 && flags >> 22 == 0; }
};

class StackSearch {
 public:
  StackSearch(const image::Process& process, const Area& vdso, pid_t pid) : process_(process), vdso_(vdso), memory_(pid) {}

  /** True when an interrupted function of the vdso is to be returned to on the stack at `pointer`, or on one that was left for it. */
  bool find(uint64_t pointer) {
    std::vector<uint64_t> pointers{pointer};
    std::set<const Area*> seen;
    while (!pointers.empty() && seen.size() < kMostStacks) {
      const uint64_t from = pointers.back() / sizeof(uint64_t) * sizeof(uint64_t);
      pointers.pop_back();
      const Area* area = areaOf(from);
      if (area == nullptr || !seen.insert(area).second) continue;
      if (search(from, std::min(area->end, from + kMostStack), pointers)) return true;
    }
    return false;
  }

 private:
  [[nodiscard]] const Area* areaOf(uint64_t address) const {
    const auto& areas = process_.memory.areas;
    const auto found = std::find_if(areas.begin(), areas.end(), [=](const Area& one) { return one.start <= address && address < one.end; });
    return found == areas.end() ? nullptr : &*found;
  }

  /** Chunks overlap by one frame tail. */
  bool search(uint64_t from, uint64_t end, std::vector<uint64_t>& pointers) {
    std::array<std::byte, kChunk> chunk;
    for (; from + sizeof(FrameTail) <= end; from += kChunk - sizeof(FrameTail)) {
      const size_t size = std::min<uint64_t>(kChunk, end - from);
      if (!memory_.read(from, std::span(chunk).first(size))) return false;
      for (size_t at = 0; at + sizeof(FrameTail) <= size; at += sizeof(uint64_t)) {
        FrameTail tail{};
        std::memcpy(&tail, &chunk[at], sizeof tail);
        if (!tail.isFrame()) continue;
        if (tail.rip >= vdso_.start && tail.rip < vdso_.end) return true;
        pointers.push_back(tail.rsp);
      }
    }
    return false;
  }

  const image::Process& process_;
  const Area& vdso_;
  RemoteMemory memory_;
};

}  // namespace

Status checkSignalFrames(Job& job, Building& building, const KernelAreas& areas) {
  const image::Process& process = *building.process;
  if (!needsBridge(job.image.host, process, areas)) return {};
  for (const Area& vdso : process.memory.areas) {
    if (vdso.kind != image::AreaKind::kVdso) continue;
    StackSearch search(process, vdso, building.leader().tid());
    for (const image::Task& task : process.tasks) {
      if (image::hasEnded(task)) continue;
      user_regs_struct regs{};
      std::memcpy(&regs, task.regs.data(), sizeof regs);
      if (search.find(regs.rsp))
        return inProcess(process, Error{EINVAL, "thread " + std::to_string(task.tid) +
                                                    " was in a signal handler that had interrupted the vdso of kernel " +
                                                    job.image.host.kernel + ": restart it there, or from another checkpoint"});
    }
  }
  return {};
}

}  // namespace blcr
