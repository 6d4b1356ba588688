#include <array>
#include <cstring>

#include "libcr.h"

const char* cr_strerror(int error) {
  static constexpr std::array<const char*, CR_MAX_ERRCODE - CR_ETEMPFAIL> kTexts = {
#define CR_ERROR_DEF(code, text) text,
#include "blcr_errcodes.h"
#undef CR_ERROR_DEF
  };
  if (error >= CR_ETEMPFAIL && error < CR_MAX_ERRCODE) return kTexts[static_cast<size_t>(error - CR_ETEMPFAIL)];
  return std::strerror(error);
}
