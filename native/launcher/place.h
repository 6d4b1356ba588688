// Where executables can be unpacked to: files without a name, which are gone when nobody uses them any more, whatever happens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace blcr::launcher {

/** A directory, or memory when its name is empty. */
struct Place {
  std::string directory;
  /** For messages. */
  [[nodiscard]] std::string describe() const { return directory.empty() ? "memory (memfd_create)" : directory; }
};

/** The job's scratch directory, temporary directories, memory: memory last, because what it holds is charged to the job. */
std::vector<Place> possiblePlaces();

/** A new file there, for writing, with room for `size` bytes. Fails where files may not be executed. */
Result<UniqueFd> createFile(const Place& place, const char* name, uint64_t size);

/** The same file for reading and executing; nothing has it open for writing any more. Not closed by execve. */
Result<UniqueFd> reopenForExecution(UniqueFd file);

}  // namespace blcr::launcher
