// Address spaces: the stub's own is torn down, the recorded one laid out in its place.
#pragma once

#include "restore/files/sources.h"
#include "restore/job.h"
#include "restore/memory/kernel_areas.h"

namespace blcr {

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
