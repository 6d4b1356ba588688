// The address space of a frozen process: areas and what they map. Pages are the business of pages.h.
#pragma once

#include "base/result.h"
#include "dump/frozen.h"
#include "dump/recording.h"
#include "image/model.h"

namespace blcr {

/** Reads maps and VmFlags of a process that is still running; failure costs only time inside the stop. */
void takeHint(pid_t pid, pid_t speaker, Recording& recording);

/**
 * Fills into.memory from process.maps (read inside the stop); shared segments and mapped files are entered in `recording`. Refuses
 * (kErrorNoSupport, naming process and area) huge-page files, device memory, AIO rings and uprobes.
 */
[[nodiscard]] Status recordMemory(const FrozenProcess& process, Recording& recording, image::Process& into);

/** True when a process has a private mapping of this file, which has no name any more. */
[[nodiscard]] bool isMappedUnnamed(const Recording& recording, ObjectKey key);

/** After all files were recorded: such a mapping of what lives on as a segment shows the segment, and what is written to it. */
void joinUnnamedViews(Recording& recording);

/** `task` is one of the recorded process, not a copy. */
[[nodiscard]] bool isTaskOf(pid_t task, const image::Process& process);

/**
 * Flags of the recorded areas once more, from the process itself, still stopped, or from its copy: the hint may have been overtaken.
 * kErrorTemporary when the copy lacks memory because the process asked for that after the hint.
 */
[[nodiscard]] Status correctFlags(pid_t source, image::Process& into);

/** Index of the shared segment of an object, made when it is new. `name` is the memfd's, without prefix. */
[[nodiscard]] uint32_t segmentIndex(Recording& recording, ObjectKey key, const std::string& link);

/** POSIX shared memory with a name: lives in this machine's memory only, so its content is part of the job. */
[[nodiscard]] bool isPosixSharedMemory(const std::string& path);
/** Enters name, length and permissions of such a segment. */
[[nodiscard]] Status nameSegment(Recording& recording, uint32_t segment, const std::string& path, const struct stat& info);

/** True for links like "/memfd:x (deleted)", "/dev/zero (deleted)" (shared anonymous memory) and other deleted shared memory files. */
[[nodiscard]] bool isSharedMemoryLink(const std::string& link);

/** A mapped or executed file: index in Image::mapped. `writable`: only its size identifies it. */
[[nodiscard]] uint32_t mappedIndex(Recording& recording, const std::string& path, const struct stat& info, bool writable);

}  // namespace blcr
