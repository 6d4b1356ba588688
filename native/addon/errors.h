// The one place where errors for JavaScript are made.
#pragma once

#include <napi.h>

#include <string>

namespace node_blcr {

/** Name of an errno or CR_E* value such as "ESRCH" or "CR_EPTRACED"; "UNKNOWN_<number>" for others. */
std::string ErrorName(int error);

/** An Error with `code`, `errno` (negative, as Node's own) and `syscall`. `text` explains; empty: strerror's words. */
Napi::Error SystemError(Napi::Env env, int error, const char* syscall, const std::string& text = {});

/** Throws SystemError into JavaScript and returns the empty value to hand back. */
Napi::Value ThrowSystemError(Napi::Env env, int error, const char* syscall, const std::string& text = {});

}  // namespace node_blcr
