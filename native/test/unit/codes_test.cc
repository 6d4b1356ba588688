// The engine's names of error values and libcr.h's are the same numbers.
#include "base/codes.h"

#include "check.h"
#include "libcr.h"

TEST(engine_codes_are_the_abi_s) {
  CHECK(blcr::kErrorNoSupport == CR_ENOSUPPORT);
  CHECK(blcr::kErrorVersion == CR_EVERSION);
  CHECK(blcr::kErrorBadArchitecture == CR_EBADARCH);
  CHECK(blcr::kErrorTraced == CR_EPTRACED);
  CHECK(blcr::kErrorTracer == CR_EPTRACER);
  CHECK(blcr::kErrorRestartAborted == CR_ERSTRTABRT);
}

CHECK_MAIN
