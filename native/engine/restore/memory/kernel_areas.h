// What the kernel puts into every process: the vdso and its data.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "proc/maps.h"
#include "restore/job.h"

namespace blcr {

/** The areas that the kernel put into every process of this host. */
struct KernelAreas {
  Mapping vdso, vvar, vvarVclock;    // end 0: there is none
  uint64_t syscallOffset = 0;        // of a `syscall` instruction in the vdso
  std::vector<Mapping> coordinator;  // everything mapped here
  std::span<const std::byte> code;   // the vdso's content, readable here
  [[nodiscard]] const Mapping* find(image::AreaKind kind) const;
  /** Bounds of all three: the code finds its data by distance. */
  [[nodiscard]] uint64_t start() const;
  [[nodiscard]] uint64_t end() const;
  /** Where each of them is. */
  [[nodiscard]] std::vector<std::pair<uint64_t, uint64_t>> places() const;
  /** As a stub has them whose memory was laid out and that is not bridged. */
  [[nodiscard]] KernelAreas asIn(const image::Process& process) const;
};
[[nodiscard]] Result<KernelAreas> kernelAreas();

/**
 * True when the process has the areas of another kernel: this one's are then put elsewhere, and the recorded vdso stays as a bridge to it.
 * BLCR_DISABLE=same_vdso makes it so for every process.
 */
[[nodiscard]] bool needsBridge(const image::Host& host, const image::Process& process, const KernelAreas& areas);

/** Whether others may be forked from the process when its memory has been laid out: it has all of this kernel's areas, in their old places.
 */
[[nodiscard]] bool canBeForked(const image::Host& host, const image::Process& process, const KernelAreas& areas);

/** kErrorBadArchitecture, naming process or thread, when a bridge is needed and cannot be built. */
[[nodiscard]] Status checkKernelAreas(const image::Image& image, const KernelAreas& areas);

/**
 * Removes everything from the stub's address space but the scratch page and the kernel's areas, which are moved to where the job had them,
 * or to a free place when they differ; then also lays out the bridge. Where the kernel seals its areas (Linux 6.15, BLCR_DISABLE=vdso_move)
 * they stay where they are and are bridged to as well; EAGAIN when the job has something there: another attempt finds them elsewhere.
 */
[[nodiscard]] Status placeKernelAreas(Job& job, Building& building, const KernelAreas& areas);

/** For a stub born with memory that it keeps (Building::inherited): removes everything else but the scratch page and `areas`. */
[[nodiscard]] Status keepInherited(Building& building, const KernelAreas& areas);

/**
 * After the pages are loaded: EINVAL when a signal had interrupted a thread inside the vdso and its handler has not returned; what it would
 * return to does not work here.
 */
[[nodiscard]] Status checkSignalFrames(Job& job, Building& building, const KernelAreas& areas);

}  // namespace blcr
