// Can this node load the unpacked executable? The loader is asked, which says it better than a guess from version numbers.
#pragma once

#include <string>

#include "base/result.h"

namespace blcr::launcher {

/**
 * Lets the loader of this node load `executable` without starting it.
 * Fails with ENOEXEC when libraries are too old or missing (`detail` lists them), EACCES when it may not be executed from where it is.
 */
Status checkLoadable(int executable);

/** Becomes the executable; returns only when that failed. */
void execute(int executable, char* const* arguments, char* const* environment);

}  // namespace blcr::launcher
