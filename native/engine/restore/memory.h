// Address spaces: the stub's own is torn down, the recorded one laid out in its place.
#pragma once

#include "proc/maps.h"
#include "restore/job.h"
#include "restore/sources.h"

namespace blcr {

/** The areas that the kernel put into every process of this host. */
struct KernelAreas {
  Mapping vdso, vvar, vvarVclock;    // end 0: there is none
  uint64_t syscallOffset = 0;        // of a `syscall` instruction in the vdso
  std::string hash;                  // SHA-256 of the vdso as mapped
  std::vector<Mapping> coordinator;  // everything mapped here
  [[nodiscard]] const Mapping* find(image::AreaKind kind) const;
};
[[nodiscard]] Result<KernelAreas> kernelAreas();

/** A place that is free here and in every recorded process. ENOMEM when there is none. */
[[nodiscard]] Result<ScratchPage> chooseScratch(const image::Image& image, const KernelAreas& areas);

/**
 * Builds the address space of one process: only the scratch page is left beside the recorded areas. Pages come later (loader.h). Errors
 * name the process and the area or file.
 */
[[nodiscard]] Status buildMemory(Job& job, Building& building, const KernelAreas& areas, const Sources& sources);

/** What has to wait until pages are loaded: protections, memory locks; removes the scratch page. Nothing can be put() afterwards. */
[[nodiscard]] Status sealMemory(Job& job, Building& building);

}  // namespace blcr
