// Layouts, values, defaults and names of the C ABI, as measured on genuine BLCR 0.8.6.
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "base/codes.h"
#include "check.h"
#include "crx.h"

static_assert(sizeof(cr_checkpoint_args_t) == 28 && alignof(cr_checkpoint_args_t) == 4);
static_assert(offsetof(cr_checkpoint_args_t, cr_scope) == 4 && offsetof(cr_checkpoint_args_t, cr_target) == 8);
static_assert(offsetof(cr_checkpoint_args_t, cr_fd) == 12 && offsetof(cr_checkpoint_args_t, cr_signal) == 16);
static_assert(offsetof(cr_checkpoint_args_t, cr_timeout) == 20 && offsetof(cr_checkpoint_args_t, cr_flags) == 24);
static_assert(sizeof(cr_restart_args_t) == 24 && alignof(cr_restart_args_t) == 8);
static_assert(offsetof(cr_restart_args_t, cr_fd) == 4 && offsetof(cr_restart_args_t, cr_signal) == 8);
static_assert(offsetof(cr_restart_args_t, cr_flags) == 12 && offsetof(cr_restart_args_t, cr_relocate) == 16);
static_assert(CR_RSTRT_RELOCATE_SIZE(2) == 8 + 32 && CR_MAX_RSTRT_RELOC == 16);
static_assert(sizeof(cr_checkpoint_handle_t) == 8 && sizeof(cr_client_id_t) == 4 && sizeof(cr_callback_id_t) == 4);
static_assert(CR_ETEMPFAIL == 2354 && CR_EPERMFAIL == 2355 && CR_EOMITTED == 2358 && CR_ERESTARTED == 2363 && CR_ENOINIT == 2365);
static_assert(CR_MIN_ERRCODE == 2353 && CR_MAX_ERRCODE == 2366);
static_assert(CR_RELEASE_PATCH == 6 && LIBCR_MAJOR == 0 && LIBCR_MINOR == 5 && CR_MODULE_MINOR == 10 && CR_SIGNUM == 64);
// The engine does not include libcr.h: both sides must mean the same.
static_assert(blcr::kErrorNoSupport == CR_ENOSUPPORT && blcr::kErrorVersion == CR_EVERSION && blcr::kErrorBadArchitecture == CR_EBADARCH);
static_assert(blcr::kErrorTraced == CR_EPTRACED && blcr::kErrorTracer == CR_EPTRACER && blcr::kErrorRestartAborted == CR_ERSTRTABRT);

TEST(error_codes_can_be_listed_as_with_blcrs_header) {
  struct Listed {
    int code;
    const char* text;
  };
#define CR_ERROR_DEF(code, text) {code, text},
  const Listed listed[] = {
#include "blcr_errcodes.h"
  };
#undef CR_ERROR_DEF
  int expected = CR_MIN_ERRCODE;
  for (const Listed& one : listed) CHECK(one.code == ++expected && std::strcmp(one.text, cr_strerror(one.code)) == 0);
  CHECK(expected + 1 == CR_MAX_ERRCODE);
}

TEST(checkpoint_defaults) {
  cr_checkpoint_args_t args;
  std::memset(&args, 0x55, sizeof args);
  CHECK(cr_initialize_checkpoint_args_t(&args) == 0);
  CHECK(args.cr_version == 1 && args.cr_scope == cr_scope_t(-1) && args.cr_target == 0 && args.cr_fd == -1);
  CHECK(args.cr_signal == 0 && args.cr_timeout == 0 && args.cr_flags == 0);
  errno = 0;
  CHECK(cri_init_checkpoint_args_t(2, &args) == -1 && errno == EINVAL);
}

TEST(restart_defaults) {
  cr_restart_args_t args;
  std::memset(&args, 0x55, sizeof args);
  CHECK(cr_initialize_restart_args_t(&args) == 0);
  CHECK(args.cr_version == 1 && args.cr_fd == -1 && args.cr_signal == 0 && args.cr_flags == CR_RSTRT_RESTORE_PID);
  CHECK(args.cr_relocate == nullptr);
  errno = 0;
  CHECK(cri_init_restart_args_t(2, &args) == -1 && errno == EINVAL);
}

TEST(every_error_has_a_text_of_its_own) {
  for (int code = CR_ETEMPFAIL; code < CR_MAX_ERRCODE; ++code) {
    CHECK(std::strlen(cr_strerror(code)) > 10);
    for (int other = CR_ETEMPFAIL; other < code; ++other) CHECK(std::strcmp(cr_strerror(code), cr_strerror(other)) != 0);
  }
  CHECK(std::strcmp(cr_strerror(ENOENT), std::strerror(ENOENT)) == 0);
  CHECK(std::strcmp(cr_strerror(CR_MAX_ERRCODE), "Unknown error 2366") == 0);
}

TEST(clients_are_counted_per_thread) {
  errno = 0;
  CHECK(cr_status() == -1 && errno == CR_ENOINIT);
  CHECK(cr_init() == 0);
  CHECK(cr_init() == 1);
  CHECK(cr_status() == CR_STATE_IDLE);
}

TEST(the_extensions_tell_their_version) { CHECK(crx_abi_version() == CRX_ABI_VERSION); }

CHECK_MAIN
