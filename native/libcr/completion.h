// Waiting for, reading and reaping a request: the same for checkpoints and restarts.
#pragma once

#include <sys/time.h>

#include "handles.h"

namespace blcr::libcr {

/** Sets errno and returns -1. */
int fail(int code);

int waitCompletion(const unsigned long* handle, timeval* timeout);
int readLog(const unsigned long* handle, unsigned int length, char* buffer);
/** 0 for a checkpoint, the keeper's pid for a restart; -1/EAGAIN while pending, with the handle untouched. */
int reap(unsigned long* handle);
int poll(unsigned long* handle, timeval* timeout, char** messages);

/** A handle that is complete from the start, with `error`: for CR_*_ASYNC_ERR. */
[[nodiscard]] Result<unsigned long> failedRequest(const Error& error, RequestKind kind);

}  // namespace blcr::libcr
