// Who is connected with whom.
#pragma once

#include "dump/files/record_files.h"

namespace blcr {

/** State, peer and file of an AF_UNIX socket. */
[[nodiscard]] Status connectLocal(FileContext& context, const ObjectKey& key, LiveSocket& live);

/** The same for all internet sockets. */
[[nodiscard]] Status connectInternet(FileContext& context);

}  // namespace blcr
