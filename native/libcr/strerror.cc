#include <array>
#include <cstring>

#include "libcr.h"

const char* cr_strerror(int error) {
  static constexpr std::array<const char*, CR_MAX_ERRCODE - CR_ETEMPFAIL> kTexts = {
      "Checkpoint is not possible now, try again later",       // CR_ETEMPFAIL
      "Checkpoint is not possible at all",                     // CR_EPERMFAIL
      "The process cannot be checkpointed by this library",    // CR_ENOSUPPORT
      "The context was written by an incompatible version",    // CR_EVERSION
      "A process asked to be left out of the checkpoint",      // CR_EOMITTED
      "The context needs another architecture or processor",   // CR_EBADARCH
      "The process is traced by another process",              // CR_EPTRACED
      "The process traces another process",                    // CR_EPTRACER
      "The restart was given up by a callback or hook",        // CR_ERSTRTABRT
      "This is the restarted copy of the process that asked",  // CR_ERESTARTED
      "The call is allowed in a callback only",                // CR_ENOTCB
      "cr_init() has not been called in this thread",          // CR_ENOINIT
  };
  if (error >= CR_ETEMPFAIL && error < CR_MAX_ERRCODE) return kTexts[static_cast<size_t>(error - CR_ETEMPFAIL)];
  return std::strerror(error);
}
